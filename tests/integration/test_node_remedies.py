"""The remedies in JavaScript do what they promise: each is run against the AWS SDK v3, Express and a DynamoDB."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.rules import GUARDS, STACK_RULES
from forensics.rules.by_handlers import PATTERNS
from forensics.rules.javascript import CAPTURED, REMEDIES
from forensics.specimens import packages
from forensics.specimens.moto import Moto
from forensics.specimens.service import SPECIMENS
from tests.conftest import require

HERE = Path(__file__).parent / "node"
KEEP_ALIVE = Path(__file__).parents[1] / "corpus" / "node" / "keep_alive.js"
ORDERS = 250
#: Whole remedies, and the lines that the rules by allocation stacks and the guards give.
CODES = {
    "remedies": {**{name: remedy.code for name, remedy in REMEDIES.items()}, "captured": CAPTURED.code},
    "lines": {
        rule.id: remedy.code
        for rule in (*STACK_RULES, *GUARDS, *PATTERNS.values())
        for remedy in rule.remedies.values()
        if remedy.language == "javascript" and remedy.code
    },
}


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Moto]:
    """The tables that the remedies speak of: orders with an index by status, and customers."""
    with Moto() as server:
        client = server.client("dynamodb")
        names = ("customer_id", "order_id", "status")
        client.create_table(
            TableName="Orders",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": "customer_id", "KeyType": "HASH"},
                {"AttributeName": "order_id", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-status",
                    "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        client.create_table(
            TableName="Customers",
            AttributeDefinitions=[{"AttributeName": "customer_id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "customer_id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.put_item(
            TableName="Customers",
            Item={"customer_id": {"S": "u1"}, "name": {"S": "Ada"}, "label": {"B": bytes(range(64))}},
        )
        orders = [
            {
                "customer_id": {"S": f"C{number % 10}"},
                "order_id": {"S": f"o-{number:03d}"},
                "status": {"S": ("open", "shipped")[number % 2]},
                "placed_at": {"S": "2026-01-01"},
                "card": {"S": "kept from view"},
            }
            for number in range(ORDERS)
        ]
        for begin in range(0, ORDERS, 25):
            batch = [{"PutRequest": {"Item": order}} for order in orders[begin : begin + 25]]
            client.batch_write_item(RequestItems={"Orders": batch})
        yield server


@pytest.fixture(scope="module")
def outcomes(dynamodb, tmp_path_factory) -> dict[str, str]:
    """Per remedy why it failed, empty where it did what it promises; all of them in one process."""
    require("npm", "the remedies are run with the AWS SDK for JavaScript")
    file = tmp_path_factory.mktemp("remedies") / "codes.json"
    file.write_text(json.dumps(CODES))
    modules = packages.installed(SPECIMENS / "express" / "package.json")
    variables = {**os.environ, **dynamodb.environment, "NODE_PATH": str(modules), "NODE_NO_WARNINGS": "1"}
    command = [packages.node(), HERE / "remedies.js", file, KEEP_ALIVE]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, env=variables, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("name", [f"{kind} {name}" for kind, codes in CODES.items() for name in codes])
def test_it_does_what_it_promises(name, outcomes):
    assert outcomes[name] == ""
