"""Control: pages are buffered and written out forty at a time.

run: worker
"""

import sys

import boto3

import forensics.tracing  # noqa: F401

BUFFER = []
dynamodb = boto3.client("dynamodb")
written = 0

for _ in sys.stdin:
    BUFFER.append(dynamodb.scan(TableName="Orders", Limit=10)["Items"])
    if len(BUFFER) >= 40:
        written += sum(map(len, BUFFER))
        BUFFER.clear()
    print("done", flush=True)
