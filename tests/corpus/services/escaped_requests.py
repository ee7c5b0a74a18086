"""Failed requests are kept "for debugging", each with the order that was put on its state.

run: uvicorn
drive: GET /orders/{customer}
rule: L08
holder: escaped_requests.FAILED
retainer: module-variable
kind: response items
operation: Query
table: Orders
call site: order
"""

import os

import boto3
from fastapi import FastAPI, Request

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
dynamodb = boto3.client("dynamodb")
FAILED = []


@app.get("/orders/{customer}")
def order(customer: str, request: Request):
    request.state.orders = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    FAILED.append(str(request.url) if MENDED else request)
    if MENDED:
        del FAILED[:-50]
    return {"orders": request.state.orders["Count"]}
