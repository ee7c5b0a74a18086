"""The DynamoDB tracer: what a tag says, and that it holds nothing alive; on moto's server."""

from __future__ import annotations

import ast
import asyncio
import copy
import gc
import json
import logging
import pickle
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import aiobotocore.session
import boto3
import httpx
import pytest
from fastapi import FastAPI
from moto.server import ThreadedMotoServer

from forensics.agent import callsites, tracing

THIS = Path(__file__).resolve()
REGION = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    httpx.post(
        f"{url}/moto-api/reset"
    ).raise_for_status()  # the tables of all servers of a process are the same
    client = boto3.client("dynamodb", endpoint_url=url, **REGION)
    for table in ("Orders", "Customers"):
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "day", "AttributeType": "N"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-day",
                    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        for n in range(10):
            client.put_item(TableName=table, Item={"pk": {"S": f"k{n}"}, "day": {"N": str(n)}})
    yield url
    server.stop()


@pytest.fixture
def traced():
    tracing.install(existing=False)
    yield tracing
    tracing.uninstall()


@pytest.fixture
def client(endpoint, traced):
    return boto3.session.Session().client("dynamodb", endpoint_url=endpoint, **REGION)


@pytest.fixture
def table(endpoint, traced):
    return boto3.session.Session().resource("dynamodb", endpoint_url=endpoint, **REGION).Table("Orders")


def held():
    return [row for row in tracing.rows() if row["held"]]


def here():
    """The line number of the caller's line."""
    return sys._getframe(1).f_lineno


def test_a_response_tells_its_operation_table_call_site_and_request(client):
    response = client.query(
        TableName="Orders",
        IndexName="by-day",
        KeyConditionExpression="#d = :d",
        ExpressionAttributeNames={"#d": "day"},
        ExpressionAttributeValues={":d": {"N": "3"}},
    )
    line = here() - 7
    (row,) = held()
    assert (row["operation"], row["tables"], row["index"]) == ("Query", ["Orders"], "by-day")
    assert row["file"] == str(THIS)
    assert line <= row["line"] <= line + 6
    assert row["function"].endswith("test_a_response_tells_its_operation_table_call_site_and_request")
    assert row["request_id"] == response["ResponseMetadata"]["RequestId"]
    assert row["tag_address"] == id(response["ResponseMetadata"][tracing.TAG_KEY])
    assert row["context"] == "thread MainThread"
    assert row["page"] == 1


def test_the_tracer_holds_no_response(client):
    response = client.scan(TableName="Orders")
    tag = weakref.ref(response["ResponseMetadata"][tracing.TAG_KEY])
    assert len(held()) == 1
    del response
    gc.collect()
    assert tag() is None
    assert held() == []
    (released,) = tracing.rows()
    assert released["operation"] == "Scan"


def test_nothing_of_the_tracer_reaches_items_or_parameters(client):
    response = client.scan(TableName="Orders")
    marker = response["Items"]
    tag = response["ResponseMetadata"][tracing.TAG_KEY]
    seen, todo = set(), [tag, *tracing._tracer.__dict__.values()]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type(sys) | type) or callable(thing):
            continue
        seen.add(id(thing))
        todo.extend(gc.get_referents(thing))
    assert id(marker) not in seen
    assert id(response) not in seen


@pytest.mark.parametrize(
    ("method", "arguments", "operation", "tables"),
    [
        (
            "batch_get_item",
            {"RequestItems": {name: {"Keys": [{"pk": {"S": "k1"}}]} for name in ("Orders", "Customers")}},
            "BatchGetItem",
            ["Orders", "Customers"],
        ),
        (
            "transact_get_items",
            {
                "TransactItems": [
                    {"Get": {"TableName": name, "Key": {"pk": {"S": "k1"}}}}
                    for name in ("Customers", "Orders")
                ]
            },
            "TransactGetItems",
            ["Customers", "Orders"],
        ),
        ("execute_statement", {"Statement": 'SELECT * FROM "Orders"'}, "ExecuteStatement", ["Orders"]),
        ("put_item", {"TableName": "Orders", "Item": {"pk": {"S": "k1"}}}, "PutItem", ["Orders"]),
    ],
)
def test_every_way_of_naming_tables(client, method, arguments, operation, tables):
    response = getattr(client, method)(**arguments)
    (row,) = held()
    assert (row["operation"], row["tables"]) == (operation, tables)
    del response


def test_pages_of_a_paginator_are_numbered(client):
    pages = list(client.get_paginator("scan").paginate(TableName="Orders", PaginationConfig={"PageSize": 3}))
    assert [row["page"] for row in held()] == list(range(1, len(pages) + 1))
    assert len(pages) > 3


def test_pages_fetched_by_hand_at_the_resource_level_are_numbered(table):
    pages = [table.scan(Limit=4)]
    while "LastEvaluatedKey" in pages[-1]:
        pages.append(table.scan(Limit=4, ExclusiveStartKey=pages[-1]["LastEvaluatedKey"]))
    assert [row["page"] for row in held()] == [1, 2, 3]
    assert {row["function"].rsplit(".", 1)[-1] for row in held()} == {
        "test_pages_fetched_by_hand_at_the_resource_level_are_numbered"
    }


def test_a_tagged_response_still_encodes_copies_and_pickles(client):
    response = client.get_item(TableName="Orders", Key={"pk": {"S": "k1"}})
    tag = response["ResponseMetadata"][tracing.TAG_KEY]
    assert json.loads(json.dumps(response)) == response
    assert copy.deepcopy(response)["ResponseMetadata"][tracing.TAG_KEY] is tag
    thawed = pickle.loads(pickle.dumps(response))
    assert thawed == response
    assert type(thawed["ResponseMetadata"][tracing.TAG_KEY]) is str


def test_an_error_response_is_tagged_too(client):
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.get_item(TableName="Absent", Key={"pk": {"S": "k1"}})
    assert caught.value.response["ResponseMetadata"][tracing.TAG_KEY]
    assert held()[0]["tables"] == ["Absent"]


def test_clients_that_were_there_before_are_found(endpoint):
    early = boto3.session.Session().client("dynamodb", endpoint_url=endpoint, **REGION)
    tracing.install()
    try:
        response = early.scan(TableName="Orders")
        assert [row["operation"] for row in held()] == ["Scan"]
        del response
    finally:
        tracing.uninstall()


def test_uninstall_leaves_responses_alone(client):
    tracing.uninstall()
    assert tracing.TAG_KEY not in client.scan(TableName="Orders")["ResponseMetadata"]


def test_threads_are_named(client):
    kept = []
    thread = threading.Thread(target=lambda: kept.append(client.scan(TableName="Orders")), name="exporter")
    thread.start()
    thread.join()
    assert held()[0]["context"] == "thread exporter"


def test_aiobotocore_and_its_task(endpoint, traced):
    async def fetch_orders():
        session = aiobotocore.session.get_session()
        async with session.create_client("dynamodb", endpoint_url=endpoint, **REGION) as client:
            return await client.scan(TableName="Orders")

    async def main():
        return await asyncio.create_task(fetch_orders())

    response = asyncio.run(main())
    (row,) = held()
    assert response["Count"] == 10
    assert row["context"].startswith("task ")
    assert row["context"].endswith("fetch_orders")
    assert row["function"].endswith("fetch_orders")
    assert row["file"] == str(THIS)


def test_the_route_being_served_is_named_for_async_and_pool_endpoints(client):
    app = FastAPI()
    kept = []

    @app.get("/orders/{order_id}")
    def one_order(order_id: str):
        kept.append(client.get_item(TableName="Orders", Key={"pk": {"S": order_id}}))
        return {}

    @app.post("/export")
    async def export():
        kept.append(client.scan(TableName="Orders"))
        return {}

    async def drive():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as web:
            await web.get("/orders/k1")
            await web.post("/export")

    asyncio.run(drive())
    assert [row["context"] for row in held()] == ["GET /orders/{order_id}", "POST /export"]


def test_memory_is_bounded_and_counts_go_on(client):
    tracer = tracing._tracer
    tracer._live_limit = 5
    kept = [client.get_item(TableName="Orders", Key={"pk": {"S": "k1"}}) for _ in range(8)]
    assert len(held()) == 5
    (site,) = tracing.sites()
    assert (site["issued"], site["held"]) == (8, 8)
    kept.clear()
    (site,) = tracing.sites()
    assert (site["issued"], site["held"]) == (8, 0)
    assert len(tracer._recent) <= tracing.RELEASED_LIMIT


def test_caches_are_bounded():
    tracer = tracing.Tracer()
    cache: dict[int, int] = {}
    for n in range(tracing.CACHE_LIMIT + 100):
        tracer._remember(cache, n, n)
    assert len(cache) == tracing.CACHE_LIMIT


def test_the_environment_variable_switches_it_on():
    code = "import forensics.tracing as t, os; print(t.installed())"
    for value, expected in (("1", "True"), ("", "False")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"FORENSICS_TRACE": value},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected


@pytest.mark.parametrize("module", [tracing, callsites])
def test_the_agents_modules_need_nothing_but_the_standard_library(module):
    tree = ast.parse(Path(module.__file__).read_text(), feature_version=(3, 9))
    for node in tree.body:
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1 or node.module in sys.stdlib_module_names


def test_a_failure_inside_the_tracer_never_reaches_the_service(client, monkeypatch):
    monkeypatch.setattr(callsites, "served", lambda: 1 / 0)
    assert client.scan(TableName="Orders")["Count"] == 10
    assert tracing._tracer.failures == 1


def test_a_session_from_before_an_uninstall_is_traced_again(client):
    tracing.uninstall()
    tracing.install()
    response = client.scan(TableName="Orders")
    assert [row["operation"] for row in held()] == ["Scan"]
    del response
