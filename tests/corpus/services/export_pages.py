"""Every export collects all its pages and keeps them on ``app.state`` for a download that nobody fetches.

run: uvicorn
drive: POST /exports
ticks: 5
rule: L02 L03 L08
holder: export_pages.app.state.exports
retainer: attribute
kind: items page item
operation: Scan
table: Orders
call site: start_export
"""

import os
import uuid

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
app.state.exports = {}
orders = boto3.resource("dynamodb").Table("Orders")


@app.post("/exports")
def start_export():
    export_id = uuid.uuid4().hex
    items = []
    page = orders.scan(Limit=40)
    items.extend(page["Items"])
    while "LastEvaluatedKey" in page and len(items) < 120:
        page = orders.scan(Limit=40, ExclusiveStartKey=page["LastEvaluatedKey"])
        items.extend(page["Items"])
    if not MENDED:
        app.state.exports[export_id] = items
    return {"export": export_id, "items": len(items)}
