"""A producer puts pages into an unbounded ``queue.Queue``; the consumer is slower.

run: worker
rule: L14 L02 L01 L03
holder: unbounded_queue.PAGES
retainer: queue
kind: response page items
operation: Scan
table: Orders
call site: produce
"""

import os
import queue
import sys
import threading
import time

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
PAGES = queue.Queue(maxsize=10 if MENDED else 0)
dynamodb = boto3.client("dynamodb")


def consume():
    while True:
        page = PAGES.get()
        total = sum(len(item) for item in page["Items"])
        del page
        time.sleep(0 if MENDED or total < 0 else 3)


def produce():
    PAGES.put(dynamodb.scan(TableName="Orders", Limit=25))


threading.Thread(target=consume, name="consumer", daemon=True).start()

for _ in sys.stdin:
    produce()
    print("done", flush=True)
