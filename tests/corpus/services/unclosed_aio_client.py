"""aiobotocore clients entered per job and never exited: the exit stack that holds them lives on.

run: worker
ticks: 8
rule: L04 L10
holder: unclosed_aio_client.STACK
retainer: module-variable callback
kind: client session
call site: none
"""

import asyncio
import contextlib
import os
import sys

from aiobotocore.session import get_session

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
STACK = contextlib.AsyncExitStack()
SESSION = get_session()


async def job(number):
    key = {"customer_id": {"S": f"u{number % 200:03d}"}}
    if MENDED:
        async with SESSION.create_client("dynamodb") as dynamodb:
            await dynamodb.get_item(TableName="Customers", Key=key)
    else:
        dynamodb = await STACK.enter_async_context(SESSION.create_client("dynamodb"))
        await dynamodb.get_item(TableName="Customers", Key=key)


async def main():
    while line := await asyncio.to_thread(sys.stdin.readline):
        await job(int(line))
        print("done", flush=True)


asyncio.run(main())
