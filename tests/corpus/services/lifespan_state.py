"""A Starlette service whose lifespan state holds a list of pages; every search appends to it.

run: uvicorn
drive: GET /search?customer={customer}
rule: L08 L02 L01
holder: lifespan_state.app
holder also: search_history
retainer: attribute
kind: response items page
operation: Query
table: Orders
call site: search
"""

import contextlib
import os

import boto3
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


class Services:
    def __init__(self):
        self.dynamodb = boto3.client("dynamodb")
        self.search_history = []


@contextlib.asynccontextmanager
async def lifespan(app):
    app.state.services = Services()
    yield


async def search(request):
    services = request.app.state.services
    found = services.dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": request.query_params["customer"]}},
    )
    if not MENDED:
        services.search_history.append(found)
    return JSONResponse({"found": found["Count"]})


app = Starlette(routes=[Route("/search", search)], lifespan=lifespan)
