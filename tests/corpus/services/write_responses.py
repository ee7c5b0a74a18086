"""Old images, returned by PutItem, pile up in an undo history.

run: worker
rule: L01 L03 L02
holder: write_responses.UNDO
retainer: module-variable
kind: response item
operation: PutItem
table: Documents
call site: save
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
UNDO = []
documents = boto3.resource("dynamodb").Table("Documents")


def save(number):
    item = {
        "document_id": f"w{number % 5}",
        "title": f"draft {number}",
        "body": "lorem ipsum " * 300,
        "version": number,
    }
    UNDO.append(documents.put_item(Item=item, ReturnValues="ALL_OLD"))
    if MENDED:
        del UNDO[:-10]


for line in sys.stdin:
    save(int(line))
    print("done", flush=True)
