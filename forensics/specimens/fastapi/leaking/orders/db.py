"""Every call to DynamoDB the service makes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key
from botocore.config import Config

from orders.settings import settings

_config = Config(
    region_name=settings.region,
    max_pool_connections=settings.connections,
    connect_timeout=3,
    read_timeout=20,
    retries={"mode": "standard", "max_attempts": 3},
)

#: Clients are safe to share between threads; one for the process.
client = boto3.client("dynamodb", endpoint_url=settings.endpoint, config=_config)

#: Resources are not; a table for each worker thread.
_local = threading.local()
_session_lock = threading.Lock()


def orders_table() -> Any:
    table = getattr(_local, "orders", None)
    if table is None:
        with _session_lock:  # building a resource is not safe in two threads at once
            resource = boto3.resource("dynamodb", endpoint_url=settings.endpoint, config=_config)
        table = _local.orders = resource.Table(settings.orders_table)
    return table


def query_orders(
    customer_id: str, since: str, until: str, status: str | None = None, limit: int = 20
) -> dict[str, Any]:
    """The orders a customer placed from one day to another, newest first, as DynamoDB answers."""
    question: dict[str, Any] = {
        "TableName": settings.orders_table,
        "KeyConditionExpression": "customer_id = :customer AND order_id BETWEEN :since AND :until",
        "ExpressionAttributeValues": {
            ":customer": {"S": customer_id},
            ":since": {"S": since},
            ":until": {"S": until},
        },
        "ScanIndexForward": False,
        "Limit": limit,
    }
    if status:
        question["FilterExpression"] = "#status = :status"
        question["ExpressionAttributeNames"] = {"#status": "status"}
        question["ExpressionAttributeValues"][":status"] = {"S": status}
    return client.query(**question)


def get_order(customer_id: str, order_id: str) -> dict[str, Any] | None:
    """One order with everything in it, as Python values."""
    return orders_table().get_item(Key={"customer_id": customer_id, "order_id": order_id}).get("Item")


def latest_orders(customer_id: str, count: int) -> list[dict[str, Any]]:
    """The newest orders of a customer, three attributes of each."""
    answer = orders_table().query(
        KeyConditionExpression=Key("customer_id").eq(customer_id),
        ProjectionExpression="order_id, #total, currency",
        ExpressionAttributeNames={"#total": "total"},
        ScanIndexForward=False,
        Limit=count,
    )
    return answer["Items"]


def scan_totals(warehouse: int) -> Iterator[list[dict[str, Any]]]:
    """Pages of totals of all orders that a warehouse ships; one page is in memory at a time."""
    pages = client.get_paginator("scan").paginate(
        TableName=settings.orders_table,
        FilterExpression="contains(warehouses, :warehouse)",
        ProjectionExpression="#total, currency",
        ExpressionAttributeNames={"#total": "total"},
        ExpressionAttributeValues={":warehouse": {"N": str(warehouse)}},
        PaginationConfig={"PageSize": 500},
    )
    for page in pages:
        yield page["Items"]


def load_products() -> list[dict[str, Any]]:
    """The whole catalogue: some dozen products that change once a season."""
    pages = client.get_paginator("scan").paginate(TableName=settings.products_table)
    return [product for page in pages for product in page["Items"]]
