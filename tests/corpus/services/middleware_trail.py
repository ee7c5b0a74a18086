"""A Starlette middleware keeps "the last requests" with the customer record of each, and forgets to cut the list.

run: uvicorn
drive: GET /me?id={n}
rule: L08 L03 L01
holder: middleware_trail.app
holder also: trail
retainer: attribute
kind: response item items
operation: GetItem
table: Customers
call site: customer_of
"""

import os

import boto3
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
customers = boto3.resource("dynamodb").Table("Customers")


def customer_of(query):
    number = int(query.decode().split("=")[1])
    return customers.get_item(Key={"customer_id": f"u{number % 200:03d}"})


class AuditTrail:
    """Keeps who asked for what."""

    def __init__(self, app):
        self.app = app
        self.trail = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["query_string"]:
            scope["customer"] = customer_of(scope["query_string"])
            self.trail.append((scope["path"], scope["customer"]))
            if MENDED:
                del self.trail[:-20]
        await self.app(scope, receive, send)


async def me(request):
    return JSONResponse({"name": request.scope["customer"]["Item"]["name"]})


app = Starlette(routes=[Route("/me", me)], middleware=[Middleware(AuditTrail)])
