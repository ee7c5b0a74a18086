"""A factory returns a function whose closure collects every page it ever fetched.

run: worker
rule: L02 L03 L01
holder: fetch
holder also: pages
retainer: closure
kind: items page response
operation: Query
table: Orders
call site: make_fetcher.<locals>.fetch
"""

import os
import sys

import boto3
from boto3.dynamodb.conditions import Key

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


def make_fetcher(table_name):
    table = boto3.resource("dynamodb").Table(table_name)
    pages = []

    def fetch(customer):
        items = table.query(KeyConditionExpression=Key("customer").eq(customer))["Items"]
        if MENDED:
            pages.clear()
        pages.append(items)
        return sum(item["total"] for item in items)

    return fetch


fetch = make_fetcher("Orders")

for line in sys.stdin:
    fetch(f"c{int(line) % 60:02d}")
    print("done", flush=True)
