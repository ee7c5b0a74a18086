"""A new low-level client for every request, remembered "to be closed at shutdown".

run: uvicorn
drive: GET /customers/{n}
ticks: 10
rule: L04
holder: client_per_request.CLIENTS
retainer: module-variable
kind: client
call site: none
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
CLIENTS = []


def client():
    if not CLIENTS or not MENDED:
        CLIENTS.append(boto3.client("dynamodb"))
    return CLIENTS[-1]


@app.get("/customers/{number}")
def customer(number: int):
    answer = client().get_item(TableName="Customers", Key={"customer_id": {"S": f"u{number % 200:03d}"}})
    return {"name": answer["Item"]["name"]["S"]}
