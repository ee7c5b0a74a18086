"""Pool threads keep what they fetched in a ``threading.local`` that outlives every job.

run: worker
rule: L08 L01 L02 L03
holder: thread_local
holder also: responses
retainer: thread-local
kind: response items
operation: Query
table: Orders
call site: work
"""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
dynamodb = boto3.client("dynamodb")
per_thread = threading.local()


def work(number):
    if not hasattr(per_thread, "responses") or MENDED:
        per_thread.responses = []
    per_thread.responses.append(
        dynamodb.query(
            TableName="Orders",
            KeyConditionExpression="customer = :c",
            ExpressionAttributeValues={":c": {"S": f"c{number % 60:02d}"}},
        )
    )
    return len(per_thread.responses)


with ThreadPoolExecutor(2, thread_name_prefix="orders") as pool:
    for line in sys.stdin:
        pool.submit(work, int(line)).result()
        print("done", flush=True)
