"""Whole Query responses in a module-level dict, one per customer and day asked for; nothing ever leaves it.

run: uvicorn
drive: GET /customers/{customer}/orders?as_of={n}
rule: L03 L01
holder: orders_cache.RESPONSES
retainer: module-variable
kind: response
operation: Query
table: Orders
call site: orders_of
"""

import os

import boto3
from boto3.dynamodb.types import TypeDeserializer
from fastapi import FastAPI

import forensics.tracing  # noqa: F401  (FORENSICS_TRACE=1 switches it on)

MENDED = os.environ.get("MENDED") == "1"
TABLE = os.environ.get("ORDERS_TABLE", "Orders")

app = FastAPI()
dynamodb = boto3.client("dynamodb")
plain = TypeDeserializer().deserialize
RESPONSES = {}


def orders_of(customer, as_of):
    key = (customer, as_of)
    if key in RESPONSES:
        return RESPONSES[key]
    response = dynamodb.query(
        TableName=TABLE,
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    if not MENDED:
        RESPONSES[key] = response
    return response


@app.get("/customers/{customer}/orders")
def orders(customer: str, as_of: str = "today"):
    response = orders_of(customer, as_of)
    return [{name: str(plain(value)) for name, value in item.items()} for item in response["Items"]]
