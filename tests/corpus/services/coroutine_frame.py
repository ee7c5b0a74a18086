"""One long-lived coroutine polls a table and extends a local list for as long as it lives.

run: worker
rule: L09 L02
holder: poll
holder also: seen
retainer: task frame-local
kind: items item page
operation: Scan
table: Customers
call site: poll
"""

import asyncio
import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
customers = boto3.resource("dynamodb").Table("Customers")


async def poll(ticks, done):
    seen = []
    while True:
        await ticks.get()
        page = customers.scan(Limit=10)
        if MENDED:
            seen.clear()
        seen.extend(page["Items"])
        page = None
        await done.put(len(seen))


async def main():
    ticks, done = asyncio.Queue(1), asyncio.Queue(1)
    poller = asyncio.create_task(poll(ticks, done))
    while await asyncio.to_thread(sys.stdin.readline):
        await ticks.put(None)
        await done.get()
        print("done", flush=True)
    poller.cancel()


asyncio.run(main())
