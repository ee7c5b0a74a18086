"""Every request starts a task that sleeps for an hour with the response among its locals.

run: uvicorn
drive: POST /orders/{customer}/reminders
rule: L09
holder: remind
holder also: response
retainer: task frame-local
kind: response
operation: Query
table: Orders
call site: remind
"""

import asyncio
import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
dynamodb = boto3.client("dynamodb")
tasks = set()


async def remind(customer):
    response = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    count = response["Count"]
    if MENDED:
        del response
        await asyncio.sleep(0.01)
    else:
        await asyncio.sleep(3600)
    return count


@app.post("/orders/{customer}/reminders")
async def reminders(customer: str):
    task = asyncio.create_task(remind(customer))
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return {"scheduled": True}
