"""Errors are kept for a report; each one's traceback keeps the frames, and the frames the pages read so far.

run: worker
rule: L12
holder: stored_exception.FAILED
retainer: exception module-variable
kind: response items page
operation: Query
table: Orders
call site: settle
"""

import os
import sys

import boto3
from botocore.exceptions import ClientError

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
FAILED = []
dynamodb = boto3.client("dynamodb")


def settle(customer):
    orders = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    dynamodb.update_item(
        TableName="Customers",
        Key={"customer_id": {"S": customer}},
        UpdateExpression="SET settled = :n",
        ConditionExpression="attribute_exists(customer_id)",
        ExpressionAttributeValues={":n": {"N": str(orders["Count"])}},
    )


for line in sys.stdin:
    try:
        settle(f"c{int(line) % 60:02d}")
    except ClientError as error:
        FAILED.append(str(error) if MENDED else error)
    print("done", flush=True)
