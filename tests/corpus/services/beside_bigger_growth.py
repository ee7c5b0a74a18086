"""A DynamoDB leak beside a larger growth that has nothing to do with DynamoDB.

run: worker
rule: L03
holder: beside_bigger_growth.KNOWN
retainer: module-variable
kind: item response
operation: GetItem
table: Customers
call site: customer
---
rule: any
holder: beside_bigger_growth.METRICS
retainer: module-variable
kind: none
call site: none
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
KNOWN = {}
METRICS = []
dynamodb = boto3.client("dynamodb")


def customer(number):
    answer = dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": f"u{number % 200:03d}"}})
    KNOWN[number] = answer["Item"]
    METRICS.append({"at": number, "samples": [number * 1.5 + n for n in range(600)], "trace": "x" * 4000})
    if MENDED:
        KNOWN.clear()
        METRICS.clear()


for line in sys.stdin:
    customer(int(line))
    print("done", flush=True)
