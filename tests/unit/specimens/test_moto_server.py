"""The server with shortcuts answers as moto's own does, byte for byte."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from forensics.specimens.moto import Moto, aws_environment
from forensics.specimens.program import Program, free_port

CREDENTIAL = "AWS4-HMAC-SHA256 Credential=specimen/20260101/eu-central-1/dynamodb/aws4_request"
#: Each type there is, alone, empty, nested, and binary beside others
VALUES: dict[str, Any] = {
    "text": {"S": 'näher – "quoted" <b>'},
    "empty": {"S": ""},
    "number": {"N": "-1.50"},
    "large": {"N": "12345678901234567890123456789012345678"},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "nothing": {"NULL": True},
    "photo": {"B": "AAEC/w=="},
    "words": {"SS": ["b", "a"]},
    "numbers": {"NS": ["2", "1.0"]},
    "binaries": {"BS": ["AAE=", "/w=="]},
    "list": {"L": [{"S": "x"}, {"N": "1"}, {"L": []}, {"M": {}}]},
    "map": {"M": {"inner": {"M": {"deep": {"L": [{"NULL": True}, {"BOOL": False}]}}}}},
    "mixed": {"M": {"a": {"S": "x"}, "b": {"L": [{"B": "AAE="}, {"S": "y"}]}}},
    "S": {"M": {"S": {"S": "a field by the name of a type"}}},
}
TABLES: dict[str, dict[str, Any]] = {
    "Orders": {
        "KeySchema": [
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
    },
    "Products": {
        "KeySchema": [{"AttributeName": "customer", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "customer", "AttributeType": "S"}],
    },
    "Pages": {
        "KeySchema": [
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "B"},
        ],
    },
}


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    """The address of moto's own server, and of ours."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with Program("moto's own server", command, environment=aws_environment()) as own, Moto() as ours:
        own.wait_until_serving(port, "/moto-api/")
        addresses = f"http://127.0.0.1:{port}", ours.url
        for address in addresses:
            for name, schema in TABLES.items():
                call(address, "CreateTable", TableName=name, BillingMode="PAY_PER_REQUEST", **schema)
        yield addresses


def call(address: str, operation: str, **asked: Any) -> tuple[int, bytes]:
    """Status and body of the answer."""
    headers = {
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": CREDENTIAL,
    }
    answer = httpx.post(address, content=json.dumps(asked), headers=headers, timeout=30)
    return answer.status_code, answer.content


def test_every_answer_is_the_same(servers: tuple[str, str]) -> None:
    def both(operation: str, **asked: Any) -> Any:
        own, ours = (call(address, operation, **asked) for address in servers)
        assert ours == own
        assert own[0] == 200, own
        return json.loads(own[1])

    # numbers that sort otherwise than their digits do
    for customer in ("c2", "c10", "c1"):
        for number in ("10", "9", "-1", "1.5"):
            key = {"customer": {"S": customer}, "number": {"N": number}}
            both("PutItem", TableName="Orders", Item={**VALUES, **key}, ReturnValues="ALL_OLD")
        both("PutItem", TableName="Products", Item={**VALUES, "customer": {"S": customer}})
        for page in ("/w==", "AAE="):
            key = {"customer": {"S": customer}, "number": {"B": page}}
            both("PutItem", TableName="Pages", Item={**VALUES, **key})
    key = {"customer": {"S": "c1"}, "number": {"N": "9"}}
    both("GetItem", TableName="Orders", Key=key)
    both("GetItem", TableName="Orders", Key=key, ProjectionExpression="photo, mixed.b")
    both("GetItem", TableName="Orders", Key={**key, "number": {"N": "77"}})
    for table in TABLES:
        both("Scan", TableName=table)
        both("Scan", TableName=table, Limit=2)
        of_one = {
            "KeyConditionExpression": "customer = :c",
            "ExpressionAttributeValues": {":c": {"S": "c10"}},
        }
        for forward in (True, False):
            assert both("Query", TableName=table, ScanIndexForward=forward, Limit=3, **of_one)["Count"] > 0
    numbers = [item["number"]["N"] for item in both("Scan", TableName="Orders")["Items"]]
    assert numbers[:4] == ["-1", "1.5", "9", "10"]
    both(
        "BatchGetItem",
        RequestItems={"Orders": {"Keys": [key]}, "Products": {"Keys": [{"customer": {"S": "c1"}}]}},
    )
    both("TransactGetItems", TransactItems=[{"Get": {"TableName": "Orders", "Key": key}}])
    changed = {":v": {"M": {"a": {"B": "AAE="}, "b": {"S": "z"}}}}
    both(
        "UpdateItem",
        TableName="Orders",
        Key=key,
        UpdateExpression="SET mixed = :v",
        ExpressionAttributeValues=changed,
        ReturnValues="ALL_NEW",
    )
    both("DeleteItem", TableName="Orders", Key=key, ReturnValues="ALL_OLD")


def test_a_refusal_is_the_same(servers: tuple[str, str]) -> None:
    own, ours = (call(address, "GetItem", TableName="Absent", Key={"a": {"S": "b"}}) for address in servers)
    assert ours == own
    assert own[0] == 400
