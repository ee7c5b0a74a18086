"""Half-read generators, one per cursor a user opened; each holds its current page.

run: worker
rule: L09 L02 L03
holder: suspended_generators.CURSORS
retainer: generator module-variable
kind: response page items paginator
operation: Query
table: Orders
call site: rows
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
CURSORS = {}
dynamodb = boto3.client("dynamodb")


def rows(customer):
    start = {}
    while True:
        page = dynamodb.query(
            TableName="Orders",
            KeyConditionExpression="customer = :c",
            ExpressionAttributeValues={":c": {"S": customer}},
            **start,
        )
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


for line in sys.stdin:
    number = int(line)
    CURSORS[number] = rows(f"c{number % 60:02d}")
    next(CURSORS[number])
    if MENDED:
        CURSORS.pop(number).close()
    print("done", flush=True)
