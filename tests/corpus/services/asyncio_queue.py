"""Slotted copies of orders wait in an unbounded ``asyncio.Queue`` for a sender that never came.

The latest answer is kept too, as it may be: the next one takes its place.

run: uvicorn
drive: POST /orders/{customer}/mails
rule: L14 L02 L03
holder: asyncio_queue
holder also: MAILS | mails
retainer: queue
kind: item items
operation: Query
table: Orders
call site: none
"""

import asyncio
import dataclasses
import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
dynamodb = boto3.client("dynamodb")
app = FastAPI()
MAILS: asyncio.Queue = asyncio.Queue()


@dataclasses.dataclass(slots=True)
class Order:
    customer: str
    order_id: str
    total: str
    status: str


def orders_of(customer):
    answer = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    app.state.latest = answer
    return [
        Order(*(next(iter(each.get(name, {"S": ""}).values())) for name in Order.__slots__))
        for each in answer["Items"]
    ]


@app.post("/orders/{customer}/mails")
async def mails(customer: str):
    for order in await asyncio.to_thread(orders_of, customer):
        await MAILS.put(order)
    while MAILS.qsize() and MENDED:
        MAILS.get_nowait()
    return {"waiting": MAILS.qsize()}
