"""An async FastAPI service on aiobotocore that caches every page of every export.

run: uvicorn
drive: GET /export/{n}
ticks: 6
rule: L02 L03 L01
holder: aio_pages.PAGES
retainer: module-variable
kind: response page
operation: Scan
table: Orders
call site: export
"""

import contextlib
import os

from aiobotocore.session import get_session
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
PAGES = {}


@contextlib.asynccontextmanager
async def lifespan(app):
    async with get_session().create_client("dynamodb") as client:
        app.state.dynamodb = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/export/{number}")
async def export(number: int):
    paginator = app.state.dynamodb.get_paginator("scan")
    count = 0
    settings = {"PageSize": 20, "MaxItems": 80}
    async for page in paginator.paginate(TableName="Orders", PaginationConfig=settings):
        count += page["Count"]
        if not MENDED:
            PAGES.setdefault(number, []).append(page)
    return {"items": count}
