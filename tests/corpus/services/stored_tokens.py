"""The ``LastEvaluatedKey`` of every search is kept so that the user may come back; they never do.

run: uvicorn
drive: GET /search/{n}
rule: L03
holder: stored_tokens.app.state.cursors
retainer: attribute
kind: token
operation: Query
table: Orders
call site: none
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
app.state.cursors = {}
dynamodb = boto3.client("dynamodb")


@app.get("/search/{number}")
def search(number: int):
    page = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": f"c{number % 60:02d}"}},
        Limit=2,
    )
    if "LastEvaluatedKey" in page:
        if MENDED:
            app.state.cursors.clear()
        app.state.cursors[f"user-{number}"] = page["LastEvaluatedKey"]
    return {"items": page["Count"]}
