"""``functools.cache`` on a function whose argument never repeats.

run: uvicorn
drive: GET /customers/{n}
rule: L03
holder: unbounded_lru.customer
retainer: cache
kind: response item
operation: GetItem
table: Customers
call site: customer
"""

import functools
import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
table = boto3.resource("dynamodb").Table("Customers")


@functools.lru_cache(maxsize=32 if MENDED else None)
def customer(number):
    return table.get_item(Key={"customer_id": f"u{number % 200:03d}"})


@app.get("/customers/{number}")
def show(number: int):
    return {"name": customer(number)["Item"]["name"]}
