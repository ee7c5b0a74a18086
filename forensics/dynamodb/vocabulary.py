"""The words by which DynamoDB data is known: keys of responses, type descriptors, class names of the SDKs.

Only names that masking keeps are used here: dict keys, attribute names and type names, never a value.
"""

from __future__ import annotations

import enum
import re

#: Keys that tell; their position is the bit in an object's key mask. At most 64.
WORDS: tuple[str, ...] = (
    # an attribute value's descriptor
    *("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"),
    # what botocore adds to each response
    *("ResponseMetadata", "RequestId", "HTTPStatusCode", "HTTPHeaders", "RetryAttempts", "x-amz-crc32"),
    # top level of responses
    *("Items", "Item", "Count", "ScannedCount", "LastEvaluatedKey", "ConsumedCapacity", "Responses"),
    *("UnprocessedKeys", "UnprocessedItems", "Attributes", "ItemCollectionMetrics", "NextToken"),
    *("Records", "NextShardIterator", "Table", "TableNames"),
    # stream records
    *("eventID", "dynamodb", "NewImage", "OldImage", "Keys"),
    # requests
    *("TableName", "IndexName", "KeyConditionExpression", "FilterExpression", "ProjectionExpression"),
    *("ExpressionAttributeNames", "ExpressionAttributeValues", "ExclusiveStartKey", "Key", "RequestItems"),
    *("TransactItems", "Statement", "ConsistentRead", "UpdateExpression", "ConditionExpression", "Limit"),
    # beside the items of a batch of statements
    "Error",
)
BIT: dict[str, int] = {word: position for position, word in enumerate(WORDS)}


def mask_of(*words: str) -> int:
    """The key mask of an object that has exactly these keys."""
    return sum(1 << BIT[word] for word in words)


#: Bits 0…9: a dict with one such key and nothing else is a low-level attribute value.
DESCRIPTORS = mask_of(*WORDS[:10])


class Kind(enum.IntEnum):
    """What a heap object is to DynamoDB."""

    NONE = 0
    RESPONSE = 1
    METADATA = 2
    ITEMS = 3
    ITEM = 4  # low-level: every value carries its descriptor
    RESOURCE_ITEM = 5  # resource-level: Decimal, Binary, plain str
    ATTRIBUTE_VALUE = 6
    BINARY = 7
    TOKEN = 8  # LastEvaluatedKey, ExclusiveStartKey
    REQUEST = 9  # retained request parameters
    STREAM_RECORD = 10
    COPY = 11  # pydantic model, dataclass, plain dict made from an item
    RAW_BODY = 12
    PAGINATOR = 13
    PAGE_ITERATOR = 14
    CLIENT = 15
    RESOURCE = 16
    TABLE = 17
    SESSION = 18
    HTTP_SESSION = 19  # aiohttp.ClientSession, which an async client rests on
    DECIMAL = 20


#: What the SDK makes for itself, as against what the service read.
SDK_OBJECTS = (Kind.CLIENT, Kind.RESOURCE, Kind.TABLE, Kind.SESSION, Kind.HTTP_SESSION)

#: The word a finding's ``dynamodb.kind`` uses for each kind.
FINDING_KIND: dict[Kind, str] = {
    Kind.RESPONSE: "response",
    Kind.METADATA: "response",
    Kind.RAW_BODY: "response",
    Kind.ITEMS: "items",
    Kind.ITEM: "item",
    Kind.RESOURCE_ITEM: "item",
    Kind.COPY: "item",
    Kind.STREAM_RECORD: "item",
    Kind.ATTRIBUTE_VALUE: "attribute-value",
    Kind.BINARY: "attribute-value",
    Kind.DECIMAL: "attribute-value",
    Kind.TOKEN: "token",
    Kind.REQUEST: "token",
    Kind.PAGINATOR: "paginator",
    Kind.PAGE_ITERATOR: "paginator",
    Kind.CLIENT: "client",
    Kind.RESOURCE: "client",
    Kind.TABLE: "client",
    Kind.HTTP_SESSION: "client",
    Kind.SESSION: "session",
}

#: Type names of the SDKs, matched whole. The dynamic classes differ for each client, their names do not.
TYPE_PATTERNS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"(aio)?botocore\.client\.DynamoDB(Streams)?", Kind.CLIENT),
        (r"(aio)?boto3\.resources\.factory\.dynamodb\.Table", Kind.TABLE),
        (r"(aio)?boto3\.resources\.factory\.dynamodb\.ServiceResource", Kind.RESOURCE),
        (r"(boto3|botocore|aioboto3|aiobotocore)\.session\.(Aio)?Session", Kind.SESSION),
        (
            r"(aio)?botocore\.(client\.(DynamoDB\.)?Paginator\.\w+|client\.DynamoDB\.Paginator\.\w+)",
            Kind.PAGINATOR,
        ),
        (r"(aio)?botocore\.client\.DynamoDB\.Paginator\.\w+", Kind.PAGINATOR),
        (r"(aio)?botocore\.paginate\.(Aio)?Paginator", Kind.PAGINATOR),
        (r"(aio)?botocore\.paginate\.(Aio)?(PageIterator|ResultKeyIterator)", Kind.PAGE_ITERATOR),
        (r"boto3\.dynamodb\.types\.Binary", Kind.BINARY),
        (
            r"(aio)?botocore\.(awsrequest|httpchecksum|response)\.\w*(AWSResponse|StreamingBody)",
            Kind.RAW_BODY,
        ),
        (r"aiobotocore\.awsrequest\.AioAWSResponse", Kind.RAW_BODY),
        (r"aiohttp\.client_reqrep\.ClientResponse", Kind.RAW_BODY),
        (r"aiohttp\.client\.ClientSession", Kind.HTTP_SESSION),
        (r"((aio)?boto3\.dynamodb\.table\.)?BatchWriter", Kind.TABLE),
    )
)

#: Python method name → API operation.
OPERATIONS: dict[str, str] = {
    "query": "Query",
    "scan": "Scan",
    "get_item": "GetItem",
    "batch_get_item": "BatchGetItem",
    "transact_get_items": "TransactGetItems",
    "execute_statement": "ExecuteStatement",
    "batch_execute_statement": "BatchExecuteStatement",
    "execute_transaction": "ExecuteTransaction",
    "put_item": "PutItem",
    "update_item": "UpdateItem",
    "delete_item": "DeleteItem",
    "batch_write_item": "BatchWriteItem",
    "transact_write_items": "TransactWriteItems",
    "get_records": "GetRecords",
    "describe_table": "DescribeTable",
    "list_tables": "ListTables",
}
READ_METHODS = frozenset(
    name for name, operation in OPERATIONS.items() if not re.search(r"Put|Update|Delete|Write", operation)
)
PAGINATED: dict[str, str] = {"query": "Query", "scan": "Scan", "list_tables": "ListTables"}
