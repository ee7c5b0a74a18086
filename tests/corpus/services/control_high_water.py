"""Control: one large burst before anybody looks, all of it released; the allocator keeps the pages.

run: worker
"""

import sys

import boto3

import forensics.tracing  # noqa: F401

dynamodb = boto3.client("dynamodb")
burst = [dynamodb.scan(TableName="Orders", Limit=100)["Items"] for _ in range(10)]
del burst

for line in sys.stdin:
    dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": f"u{int(line) % 200:03d}"}})
    print("done", flush=True)
