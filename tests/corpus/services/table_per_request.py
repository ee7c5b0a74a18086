"""A resource and its ``Table`` for each request, kept with the request's statistics: a new class every time.

run: uvicorn
drive: GET /customers/{n}
ticks: 10
rule: L06 L04
holder: table_per_request.stats.tables
retainer: attribute
kind: client session
call site: none
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


class Stats:
    def __init__(self):
        self.tables = []


app = FastAPI()
stats = Stats()


def customers():
    if not stats.tables or not MENDED:
        stats.tables.append(boto3.resource("dynamodb").Table("Customers"))
    return stats.tables[-1]


@app.get("/customers/{number}")
def customer(number: int):
    return {"name": customers().get_item(Key={"customer_id": f"u{number % 200:03d}"})["Item"]["name"]}
