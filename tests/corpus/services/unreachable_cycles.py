"""The collector is off "for latency"; orders and their lines point at each other, and at the response.

run: worker
rule: L01 L09
holder: none
retainer: unreachable-cycle
kind: response items item
operation: Query
table: Orders
call site: Order.load
"""

import gc
import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
dynamodb = boto3.client("dynamodb")
gc.disable()


class Line:
    def __init__(self, order, item):
        self.order = order
        self.item = item


class Order:
    def __init__(self, customer):
        self.customer = customer
        self.response = None
        self.lines = []

    def load(self):
        self.response = dynamodb.query(
            TableName="Orders",
            KeyConditionExpression="customer = :c",
            ExpressionAttributeValues={":c": {"S": self.customer}},
        )
        self.lines = [Line(self, item) for item in self.response["Items"]]
        return self

    def close(self):
        self.lines.clear()


for line in sys.stdin:
    order = Order(f"c{int(line) % 60:02d}").load()
    if MENDED:
        order.close()
    del order
    print("done", flush=True)
