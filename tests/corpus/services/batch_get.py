"""An instance attribute keeps whole BatchGetItem responses of two tables.

run: worker
rule: L01 L03
holder: batch_get.loader.loaded
retainer: attribute
kind: response
operation: BatchGetItem
table: Customers
call site: Loader.load
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


class Loader:
    def __init__(self):
        self.dynamodb = boto3.resource("dynamodb")
        self.loaded = []

    def load(self, number):
        keys = [{"customer_id": f"u{(number + n) % 200:03d}"} for n in range(10)]
        answer = self.dynamodb.batch_get_item(RequestItems={"Customers": {"Keys": keys}})
        self.loaded.append(answer)
        if MENDED:
            del self.loaded[:-1]


loader = Loader()

for line in sys.stdin:
    loader.load(int(line))
    print("done", flush=True)
