"""Items become pydantic models, which are kept in a dict for ever; the responses themselves are gone.

run: uvicorn
drive: GET /orders/{customer}?request={n}
rule: L03
holder: pydantic_models.orders_by_request
retainer: module-variable
kind: item items
operation: Query
table: Orders
call site: none
"""

import os
from decimal import Decimal

import boto3
from boto3.dynamodb.conditions import Key
from fastapi import FastAPI
from pydantic import BaseModel

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


class Order(BaseModel):
    customer: str
    order_id: str
    day: int
    status: str
    total: Decimal
    lines: list[dict[str, str]]
    note: str


app = FastAPI()
table = boto3.resource("dynamodb").Table("Orders")
orders_by_request: dict[int, list[Order]] = {}


@app.get("/orders/{customer}")
def orders(customer: str, request: int):
    answer = table.query(KeyConditionExpression=Key("customer").eq(customer))
    orders_by_request[request] = [Order(**item) for item in answer["Items"]]
    count = len(orders_by_request[request])
    if MENDED:
        del orders_by_request[request]
    return {"orders": count}
