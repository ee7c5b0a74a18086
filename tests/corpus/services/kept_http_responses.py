"""A hook keeps the raw HTTP response of every call, to log slow ones later; its body is the answer once more.

run: worker
rule: L11
holder: kept_http_responses.SENT
retainer: module-variable
kind: response
operation: none
call site: none
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
SENT = []
dynamodb = boto3.client("dynamodb")


def note(http_response, **_):
    if MENDED:
        SENT.append(int(http_response.headers.get("content-length", 0)))
        del SENT[:-100]
    else:
        SENT.append(http_response)


dynamodb.meta.events.register("after-call.dynamodb.*", note)

for line in sys.stdin:
    customer = {":c": {"S": f"c{int(line) % 60:02d}"}}
    dynamodb.query(
        TableName="Orders", KeyConditionExpression="customer = :c", ExpressionAttributeValues=customer
    )
    print("done", flush=True)
