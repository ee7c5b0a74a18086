"""About one kilobyte a second: of every job only one small item stays behind.

run: worker
ticks: 2
warm: 10
rule: L03 L02
holder: slow_leak.LATEST
retainer: module-variable
kind: item
operation: GetItem
table: Customers
call site: none
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
LATEST = []
dynamodb = boto3.client("dynamodb")

for line in sys.stdin:
    response = dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": f"u{int(line) % 200:03d}"}})
    if MENDED:
        LATEST.clear()
    LATEST.append(response["Item"])
    del response
    print("done", flush=True)
