"""Sessions with their tokens and e-mail addresses cached without an end.

run: uvicorn
drive: GET /session/{n}
rule: L18
holder: kept_secrets.app.state.sessions
retainer: attribute
kind: item response attribute-value
operation: GetItem
table: Sessions
call site: none
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
app.state.sessions = {}
dynamodb = boto3.client("dynamodb")


@app.get("/session/{number}")
def session(number: int):
    item = dynamodb.get_item(TableName="Sessions", Key={"session_id": {"S": f"s{number % 100:03d}"}})["Item"]
    if not MENDED:
        app.state.sessions[number] = item
    return {"session": item["session_id"]["S"]}
