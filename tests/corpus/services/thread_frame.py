"""A plain thread that reads order and customer in one transaction and remembers both in a local list of its loop.

run: worker
rule: L09 L02 L01 L03
holder: settle
holder also: settled
retainer: frame-local
kind: response item items
operation: TransactGetItems
table: Customers
call site: both
"""

import os
import queue
import sys
import threading

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
dynamodb = boto3.client("dynamodb")
jobs: queue.Queue = queue.Queue(maxsize=1)


def both(number):
    keys = [f"u{number % 60:03d}", f"u{(number + 1) % 60:03d}"]
    return dynamodb.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": "Customers", "Key": {"customer_id": {"S": key}}}} for key in keys
        ]
    )


def settle():
    settled = []
    while True:
        answer = both(jobs.get())
        if MENDED:
            settled = settled[-2:]
        settled.append(answer)
        jobs.task_done()


threading.Thread(target=settle, name="settling", daemon=True).start()
for line in sys.stdin:
    jobs.put(int(line))
    jobs.join()
    print("done", flush=True)
