"""Control: only a counter per customer is kept.

run: worker
"""

import sys
from collections import Counter

import boto3

import forensics.tracing  # noqa: F401

TOTALS = Counter()
dynamodb = boto3.client("dynamodb")

for line in sys.stdin:
    customer = f"c{int(line) % 60:02d}"
    answer = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
        ProjectionExpression="order_id",
    )
    TOTALS[customer] += answer["Count"]
    print("done", flush=True)
