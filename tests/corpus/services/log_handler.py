"""A ``MemoryHandler`` that never fills up keeps log records, and each record its argument: the response.

run: worker
rule: L01 L07 L08 L03
holder: log_handler
holder also: buffer
retainer: handler
kind: response
operation: Query
table: Orders
call site: audit
"""

import logging
import logging.handlers
import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
log = logging.getLogger("audit")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(
    logging.handlers.MemoryHandler(
        capacity=20 if MENDED else 1_000_000, flushLevel=logging.CRITICAL, target=logging.NullHandler()
    )
)
dynamodb = boto3.client("dynamodb")


def audit(customer):
    response = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    log.info("fetched %s", response)


for line in sys.stdin:
    audit(f"c{int(line) % 60:02d}")
    print("done", flush=True)
