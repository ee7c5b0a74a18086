"""Recognition on heaps of real Python objects whose values are masked."""

import dataclasses
from decimal import Decimal

import pytest
from boto3.dynamodb.types import Binary
from heapbuilder import heap, low_level_items, metadata, query_response, resource_items

from forensics.dynamodb.recognise import OPERATIONS, recognise
from forensics.dynamodb.vocabulary import Kind


def counts(graph):
    return recognise(graph).counts()


def operations(graph):
    found = recognise(graph)
    return {OPERATIONS[code] for code in found.operations[found.kinds == Kind.RESPONSE]}


def test_low_level_query_response():
    graph = heap(orders={"CACHE": {"a": query_response(4, token=True), "b": query_response(2)}})
    found = counts(graph)
    assert found[Kind.RESPONSE] == 2
    assert found[Kind.METADATA] == 2
    assert found[Kind.ITEMS] == 2
    assert found[Kind.ITEM] == 6
    assert found[Kind.TOKEN] == 1
    assert operations(graph) == {"Query or Scan"}


def test_nested_map_is_not_an_item_of_its_own():
    assert counts(heap(m={"X": low_level_items(3)}))[Kind.ITEM] == 3


def test_resource_level_items_in_and_outside_a_response():
    graph = heap(m={"R": query_response(3, items=resource_items), "L": resource_items(5)})
    found = recognise(graph)
    assert found.counts()[Kind.RESOURCE_ITEM] == 8
    assert found.counts()[Kind.ITEMS] == 2
    sure = found.confidence[found.kinds == Kind.RESOURCE_ITEM]
    assert sorted(sure.tolist()) == pytest.approx([0.85] * 5 + [0.98] * 3)


@pytest.mark.parametrize(
    ("body", "operation"),
    [
        ({"Item": {"id": {"S": "x"}}}, "GetItem"),
        ({"Responses": {"Orders": [{"id": {"S": "x"}}]}, "UnprocessedKeys": {}}, "BatchGetItem"),
        ({"Responses": [{"Item": {"id": {"S": "x"}}}]}, "TransactGetItems or ExecuteTransaction"),
        ({"Responses": [{"TableName": "Orders", "Item": {"id": {"S": "x"}}}]}, "BatchExecuteStatement"),
        ({"Responses": [{"Error": {"Code": "x"}}]}, "BatchExecuteStatement"),
        ({"Items": [{"id": {"S": "x"}}], "NextToken": "t"}, "ExecuteStatement"),
        ({"UnprocessedItems": {}}, "BatchWriteItem"),
        ({"Attributes": {"id": {"S": "x"}}}, "PutItem, UpdateItem or DeleteItem"),
        ({}, "PutItem, UpdateItem, DeleteItem, TransactWriteItems, ExecuteStatement or GetItem"),
        ({"Records": [], "NextShardIterator": "i"}, "GetRecords"),
        ({"Table": {"TableName": "Orders"}}, "DescribeTable"),
    ],
)
def test_operation_is_told_by_the_keys(body, operation):
    graph = heap(m={"HELD": [{**body, "ResponseMetadata": metadata()}]})
    assert operations(graph) == {operation}


def test_response_of_another_service_is_not_dynamodbs():
    other = metadata()
    other["HTTPHeaders"] = {"server": "AmazonS3"}
    graph = heap(m={"HELD": [{"Buckets": [], "Owner": {}, "ResponseMetadata": other}]})
    found = recognise(graph)
    assert found.confidence[found.kinds == Kind.RESPONSE].tolist() == pytest.approx([0.4])


def test_lone_binary_and_attribute_value():
    found = counts(heap(m={"BLOBS": [Binary(b"x" * 100)], "VALUES": [{"S": "x"}, {"B": b"y"}, {"S": 5}]}))
    assert found[Kind.ATTRIBUTE_VALUE] == 2
    assert found[Kind.BINARY] == 2


def test_stream_record_and_request_parameters():
    record = {"eventID": "1", "eventName": "INSERT", "dynamodb": {"NewImage": {"id": {"S": "x"}}}}
    request = {
        "TableName": "Orders",
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": "x"}},
    }
    found = counts(heap(m={"SEEN": [record], "ASKED": [request]}))
    assert found[Kind.STREAM_RECORD] == 1
    assert found[Kind.REQUEST] == 2


@dataclasses.dataclass
class Order:
    order_id: str
    customer: str
    total: float


class Settings:
    def __init__(self):
        self.host = "localhost"
        self.port = 1
        self.customer = "x"


def test_converted_copies_share_the_names_of_items():
    plain = [{"order_id": f"{i}", "customer": "c", "total": float(i)} for i in range(3)]
    orders = [Order("1", "c", 2.0) for _ in range(4)]
    graph = heap(m={"LAST": query_response(1), "PLAIN": plain, "ORDERS": orders, "SETTINGS": Settings()})
    found = recognise(graph)
    assert found.counts()[Kind.COPY] == 7
    assert "order_id" in found.attribute_names


def test_start_up_tables_are_not_items():
    countries = [{"code": c, "name": c.lower(), "vat": 19} for c in ("DE", "FR", "IT")]
    prices = {"a": 1.5, "b": 2}
    graph = heap(m={"COUNTRIES": countries, "PRICES": prices, "RATES": [Decimal(1), Decimal(2)]})
    kinds = set(counts(graph))
    assert kinds <= {Kind.DECIMAL}


def test_nothing_in_an_empty_heap():
    graph = heap()
    assert len(recognise(graph)) == 0 or set(counts(graph)) <= {Kind.DECIMAL}
    assert str(recognise(graph)) == "no DynamoDB objects"


def test_recognition_does_not_rest_on_values():
    masked = heap(m={"C": [query_response(2), resource_items(2)]})
    kept = heap(values_kept=True, m={"C": [query_response(2), resource_items(2)]})
    assert counts(masked) == counts(kept)


def test_text_and_html_say_the_same():
    found = recognise(heap(m={"C": query_response(2)}))
    for name in ("response", "items", "item", "attribute value"):
        assert name in str(found)
        assert f"<td>{name}</td>" in found._repr_html_()
    assert len(found.to_pandas()) == len(found)


def test_sdk_objects_by_their_type_names():
    client = type("DynamoDB", (), {"__module__": "botocore.client"})
    table = type("dynamodb.Table", (), {"__module__": "boto3.resources.factory"})
    pages = type("PageIterator", (), {"__module__": "botocore.paginate"})
    scan = type("DynamoDB.Paginator.Scan", (), {"__module__": "botocore.client"})
    session = type("AioSession", (), {"__module__": "aiobotocore.session"})
    graph = heap(m={"X": [client(), client(), table(), pages(), scan(), session()]})
    found = counts(graph)
    assert (found[Kind.CLIENT], found[Kind.TABLE], found[Kind.PAGE_ITERATOR]) == (2, 1, 1)
    assert (found[Kind.PAGINATOR], found[Kind.SESSION]) == (1, 1)
