"""A botocore event handler registered per request on the one client, each bound to its request's order.

run: uvicorn
drive: GET /orders/{customer}
rule: L07
holder: event_handlers.dynamodb
retainer: handler
kind: response items item client
operation: Query
table: Orders
call site: order
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
dynamodb = boto3.client("dynamodb")


@app.get("/orders/{customer}")
def order(customer: str):
    response = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )

    def trace_retry(**kwargs):
        print("retry for", response["Items"][0]["customer"])

    if not MENDED:
        dynamodb.meta.events.register("needs-retry.dynamodb.UpdateItem", trace_retry)
    return {"orders": response["Count"]}
