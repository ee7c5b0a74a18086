"""A mutable default argument used as a cache.

run: worker
rule: L03
holder: default_argument.customer
holder also: __defaults__ | _seen
retainer: function-default
kind: item response
operation: GetItem
table: Customers
call site: customer
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
dynamodb = boto3.client("dynamodb")


def customer(number, _seen={}):  # noqa: B006
    if number not in _seen:
        item = dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": f"u{number % 200:03d}"}})[
            "Item"
        ]
        if MENDED:
            return item
        _seen[number] = item
    return _seen[number]


for line in sys.stdin:
    customer(int(line))
    print("done", flush=True)
