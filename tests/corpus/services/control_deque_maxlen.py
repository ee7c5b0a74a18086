"""Control: ``deque(maxlen=20)`` of the latest responses.

run: uvicorn
drive: GET /orders/{customer}
"""

from collections import deque

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

app = FastAPI()
app.state.latest = deque(maxlen=20)
orders = boto3.resource("dynamodb").Table("Orders")


@app.get("/orders/{customer}")
def order(customer: str):
    app.state.latest.append(
        orders.query(
            KeyConditionExpression="customer = :c",
            ExpressionAttributeValues={":c": customer},
        )
    )
    return {"latest": len(app.state.latest)}
