"""Control: an export that streams page by page.

run: uvicorn
drive: GET /export
ticks: 2
"""

import boto3
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

import forensics.tracing  # noqa: F401

app = FastAPI()
dynamodb = boto3.client("dynamodb")


def lines():
    for page in dynamodb.get_paginator("scan").paginate(
        TableName="Orders", PaginationConfig={"PageSize": 250}
    ):
        for item in page["Items"]:
            yield item["order_id"]["S"] + "\n"


@app.get("/export")
def export():
    return StreamingResponse(lines(), media_type="text/plain")
