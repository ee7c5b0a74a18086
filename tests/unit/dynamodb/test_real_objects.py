"""Recognition of what the SDKs really make: every operation against moto's server, masked as in a capture."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import re
from collections import Counter

import aioboto3
import aiobotocore.session
import boto3
import httpx
import pydantic
import pytest
from boto3.dynamodb.conditions import Key
from heapbuilder import heap
from moto.server import ThreadedMotoServer

from forensics.dynamodb.objects import OPERATIONS
from forensics.dynamodb.recognise import recognise
from forensics.dynamodb.vocabulary import Kind

REGION = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
ORDERS = {"TableName": "Orders"}
KEY = {"pk": {"S": "k1"}}
ONE = {"Statement": 'SELECT * FROM "Orders" WHERE pk = ?', "Parameters": [{"S": "k1"}]}


def item(number: int) -> dict:
    return {
        "pk": {"S": f"k{number}"},
        "total": {"N": str(number)},
        "note": {"S": "left at the door"},
        "scan": {"B": b"\x89PNG"},
    }


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    httpx.post(
        f"{url}/moto-api/reset"
    ).raise_for_status()  # the tables of all servers of a process are the same
    boto3.client("dynamodb", endpoint_url=url, **REGION).create_table(
        **ORDERS,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    yield url
    server.stop()


@pytest.fixture
def client(endpoint):
    client = boto3.client("dynamodb", endpoint_url=endpoint, **REGION)
    for number in range(6):
        client.put_item(**ORDERS, Item=item(number))
    return client


@pytest.fixture
def table(client, endpoint):
    return boto3.resource("dynamodb", endpoint_url=endpoint, **REGION).Table("Orders")


def held(*things):
    return recognise(heap(orders={"HELD": list(things)}))


def told(found) -> str:
    (code,) = found.operations[found.kinds == Kind.RESPONSE]
    return OPERATIONS[code]


#: operation, arguments, what must be recognised beside the response
LOW_LEVEL = [
    ("Query", {**ORDERS, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": KEY["pk"]}},
     {Kind.ITEMS: 1, Kind.ITEM: 1, Kind.ATTRIBUTE_VALUE: 4, Kind.BINARY: 1}),
    ("Scan", {**ORDERS, "Limit": 3}, {Kind.ITEMS: 1, Kind.ITEM: 3, Kind.TOKEN: 1}),
    ("GetItem", {**ORDERS, "Key": KEY}, {Kind.ITEM: 1, Kind.BINARY: 1}),
    ("GetItem", {**ORDERS, "Key": {"pk": {"S": "absent"}}}, {}),
    ("BatchGetItem", {"RequestItems": {"Orders": {"Keys": [KEY]}}}, {Kind.ITEMS: 1, Kind.ITEM: 1}),
    ("TransactGetItems", {"TransactItems": [{"Get": {**ORDERS, "Key": KEY}}]}, {Kind.ITEM: 1}),
    ("ExecuteStatement", {"Statement": 'SELECT * FROM "Orders"'}, {Kind.ITEMS: 1, Kind.ITEM: 6}),
    ("BatchExecuteStatement", {"Statements": [ONE]}, {}),
    ("ExecuteTransaction", {"TransactStatements": [ONE]}, {Kind.ITEM: 1}),
    ("PutItem", {**ORDERS, "Item": item(1)}, {}),
    ("PutItem", {**ORDERS, "Item": item(1), "ReturnValues": "ALL_OLD"}, {Kind.ITEM: 1}),
    ("UpdateItem", {**ORDERS, "Key": KEY, "UpdateExpression": "SET note = :n", "ReturnValues": "ALL_NEW",
                    "ExpressionAttributeValues": {":n": {"S": "x"}}}, {Kind.ITEM: 1}),
    ("DeleteItem", {**ORDERS, "Key": {"pk": {"S": "k5"}}, "ReturnValues": "ALL_OLD"}, {Kind.ITEM: 1}),
    ("BatchWriteItem", {"RequestItems": {"Orders": [{"PutRequest": {"Item": item(2)}}]}}, {}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {**ORDERS, "Item": item(3)}}]}, {}),
    ("DescribeTable", ORDERS, {}),
    ("ListTables", {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "arguments", "inside"),
    LOW_LEVEL,
    ids=[f"{each[0]}-{k}" for k, each in enumerate(LOW_LEVEL)],
)
def test_every_operation_of_the_client(client, operation, arguments, inside):
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    found = held(getattr(client, method)(**arguments))
    counts = found.counts()
    assert (counts[Kind.RESPONSE], counts[Kind.METADATA]) == (1, 1)
    assert {kind: counts.get(kind, 0) for kind in inside} == inside
    assert operation in re.split(r", | or ", told(found))
    assert (found.confidence[found.kinds == Kind.RESPONSE] >= 0.9).all()
    assert all(found.reason_of(int(each)) for each in found.objects)


@pytest.mark.parametrize(
    ("method", "arguments", "operation", "items"),
    [
        ("query", {"KeyConditionExpression": Key("pk").eq("k1")}, "Query or Scan", 1),
        ("scan", {"Limit": 2}, "Query or Scan", 2),
        ("get_item", {"Key": {"pk": "k1"}}, "GetItem", 1),
        ("put_item", {"Item": {"pk": "k1", "total": 1}, "ReturnValues": "ALL_OLD"},
         "PutItem, UpdateItem or DeleteItem", 1),
    ],
)  # fmt: skip
def test_the_resource_level(table, method, arguments, operation, items):
    found = held(getattr(table, method)(**arguments))
    assert found.counts()[Kind.RESOURCE_ITEM] == items and told(found) == operation


def test_records_of_a_stream(client, endpoint):
    streams = boto3.client("dynamodbstreams", endpoint_url=endpoint, **REGION)
    arn = streams.list_streams(**ORDERS)["Streams"][0]["StreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    begin = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    answer = streams.get_records(ShardIterator=begin["ShardIterator"])
    found = held(answer)
    assert told(found) == "GetRecords"
    assert found.counts()[Kind.STREAM_RECORD] == len(answer["Records"]) >= 6
    # without the response the records are still what they are
    assert held(*answer["Records"]).counts()[Kind.STREAM_RECORD] == len(answer["Records"])


def test_items_lists_items_and_tokens_without_their_response(client, table):
    low, high = client.scan(**ORDERS, Limit=4), table.scan(Limit=4)
    counts = held(low["Items"], high["Items"]).counts()
    assert (counts[Kind.ITEMS], counts[Kind.ITEM], counts[Kind.RESOURCE_ITEM]) == (2, 4, 4)
    assert held(low["Items"][0]).counts()[Kind.ITEM] == 1
    assert held(high["Items"][0]).counts()[Kind.RESOURCE_ITEM] == 1
    stored = {"last_evaluated_key": low["LastEvaluatedKey"], "ExclusiveStartKey": high["LastEvaluatedKey"]}
    assert held({"ExclusiveStartKey": low["LastEvaluatedKey"]}).counts()[Kind.TOKEN] == 1
    assert held(stored).counts()[Kind.TOKEN] >= 1


class Order(pydantic.BaseModel):
    pk: str
    total: float
    note: str


@dataclasses.dataclass
class Entry:
    pk: str
    total: str
    note: str


class Slotted:
    __slots__ = ("note", "pk", "total")

    def __init__(self, pk, total, note):
        self.pk, self.total, self.note = pk, total, note


def test_copies_by_the_names_of_attributes_seen(client, table):
    """Models, dataclasses, slotted objects, plain dicts: known by what an item of the heap calls its attributes."""
    seen = client.scan(**ORDERS, Limit=1)
    fields = [{key: value for key, value in each.items() if key != "scan"} for each in table.scan()["Items"]]
    models = [Order(**each) for each in fields]
    entries = [Entry(each["pk"], str(each["total"]), each["note"]) for each in fields]
    slotted = [Slotted(each["pk"], str(each["total"]), each["note"]) for each in fields]
    thawed = [json.loads(each.model_dump_json()) for each in models]
    for kept in (models, entries, slotted, thawed):
        found = held(seen, kept)
        assert found.counts()[Kind.COPY] == len(kept), type(kept[0])
        sure = found.confidence[found.kinds == Kind.COPY]
        assert 0.4 < sure.max() < 0.8
    # shared key strings tell of plain copies even where no item is left
    plain = [{key: str(value) for key, value in each.items()} for each in fields]
    found = held(plain)
    assert found.counts()[Kind.RESOURCE_ITEM] == len(plain)
    assert found.confidence[found.kinds == Kind.RESOURCE_ITEM].max() < 0.5


def test_a_raw_response_and_its_body(client, monkeypatch):
    import botocore.endpoint

    kept = []
    send = botocore.endpoint.Endpoint._send
    monkeypatch.setattr(
        botocore.endpoint.Endpoint, "_send", lambda self, asked: kept.append(send(self, asked)) or kept[-1]
    )
    client.scan(**ORDERS)
    assert type(kept[0]).__module__ == "botocore.awsrequest"
    assert held(*kept).counts()[Kind.RAW_BODY] == 2, "the response and the bytes of its body"


SDK_KINDS = (
    *(Kind.CLIENT, Kind.RESOURCE, Kind.TABLE, Kind.SESSION, Kind.PAGINATOR, Kind.PAGE_ITERATOR),
    Kind.HTTP_SESSION,
)


def sdk(*things) -> Counter:
    """Kinds of the SDK's objects that stand for themselves, not what they refer to."""
    graph = heap(orders={"HELD": list(things)})
    found, mine = recognise(graph), {id(each) for each in things}
    return Counter(
        kind.name
        for kind in SDK_KINDS
        for each in found.of(kind).tolist()
        if int(graph.addresses[each]) in mine
    )


def test_objects_of_boto3(client, table, endpoint):
    resource, session = boto3.resource("dynamodb", endpoint_url=endpoint, **REGION), boto3.Session()
    paginator = client.get_paginator("scan")
    assert sdk(client, resource, table, session, session._session, paginator, paginator.paginate(**ORDERS)) == {
        "CLIENT": 1, "RESOURCE": 1, "TABLE": 1, "SESSION": 2, "PAGINATOR": 1, "PAGE_ITERATOR": 1,
    }  # fmt: skip
    assert sdk(table.batch_writer()) == {"TABLE": 1}
    assert sdk(boto3.client("s3", **REGION)) == {}, "another service's client"


def test_objects_of_aiobotocore(client, endpoint):
    async def ask():
        session = aiobotocore.session.get_session()
        async with session.create_client("dynamodb", endpoint_url=endpoint, **REGION) as asynchronous:
            answer = await asynchronous.scan(**ORDERS)
            paginator = asynchronous.get_paginator("scan")
            pages = paginator.paginate(**ORDERS)
            return answer, sdk(session, asynchronous, paginator, pages)

    answer, kinds = asyncio.run(ask())
    assert kinds == {"SESSION": 1, "CLIENT": 1, "PAGINATOR": 1, "PAGE_ITERATOR": 1}
    assert told(held(answer)) == "Query or Scan"


def test_objects_of_aioboto3(endpoint):
    """One session, and a resource, a Table and a client for each of three requests."""

    async def ask():
        session = aioboto3.Session()
        kept, answers, closing = [], [], contextlib.AsyncExitStack()
        async with closing:
            for number in range(3):
                resource = await closing.enter_async_context(
                    session.resource("dynamodb", endpoint_url=endpoint, **REGION)
                )
                table = await resource.Table("Orders")
                async with table.batch_writer() as writer:
                    await writer.put_item(Item={"pk": f"aio{number}", "total": number})
                answers.append(await table.query(KeyConditionExpression=Key("pk").eq(f"aio{number}")))
                kept += [resource, table, writer]
            client = await closing.enter_async_context(
                session.client("dynamodb", endpoint_url=endpoint, **REGION)
            )
            paginator = client.get_paginator("scan")
            kept += [session, client, paginator, paginator.paginate(**ORDERS)]
            return answers, sdk(*kept)

    answers, kinds = asyncio.run(ask())
    assert kinds == {
        "SESSION": 1,
        "RESOURCE": 3,
        "TABLE": 6,  # each with the writer of its batches
        "CLIENT": 1,
        "PAGINATOR": 1,
        "PAGE_ITERATOR": 1,
    }
    assert [answer["Items"][0]["pk"] for answer in answers] == ["aio0", "aio1", "aio2"]
    found = held(*answers)
    assert found.counts()[Kind.RESPONSE] == 3
    assert {OPERATIONS[int(code)] for code in found.operations[found.kinds == Kind.RESPONSE]} == {
        "Query or Scan"
    }


def test_what_is_not_dynamodbs(client):
    s3_like = {
        "Buckets": [],
        "Owner": {"ID": "x"},
        "ResponseMetadata": {"RequestId": "r", "HTTPStatusCode": 200},
    }
    found = held(s3_like)
    assert (found.confidence[found.kinds == Kind.RESPONSE] < 0.5).all()
    assert not held([{"host": "a", "port": 1, "name": "x"}], {"S": 1}, [b"x" * 100]).counts()
