"""A context variable holds the trail of one job; set once at start-up, all jobs share one list.

run: worker
rule: L08 L01 L02
holder: context_variable
holder also: trail | TRAIL
retainer: contextvar
kind: response items item
operation: GetItem
table: Customers
call site: look_up
"""

import asyncio
import contextvars
import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
TRAIL = contextvars.ContextVar("trail")
dynamodb = boto3.client("dynamodb")


async def look_up(number):
    response = dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": f"u{number % 200:03d}"}})
    TRAIL.get().append(response)
    return response["Item"]


async def main():
    TRAIL.set([])
    while line := await asyncio.to_thread(sys.stdin.readline):
        if MENDED:
            TRAIL.set([])
        await look_up(int(line))
        print("done", flush=True)


asyncio.run(main())
