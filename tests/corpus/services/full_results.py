"""``build_full_result()`` of a paginator, once per report, kept in the report.

run: worker
ticks: 6
rule: L02 L03
holder: full_results.REPORTS
retainer: module-variable
kind: items page response
operation: Scan
table: Orders
call site: none
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
REPORTS = {}
paginator = boto3.client("dynamodb").get_paginator("scan")


def report(number):
    pages = paginator.paginate(TableName="Orders", PaginationConfig={"PageSize": 30, "MaxItems": 90})
    if MENDED:
        REPORTS["latest"] = sum(page["Count"] for page in pages)
    else:
        REPORTS[number] = pages.build_full_result()


for line in sys.stdin:
    report(int(line))
    print("done", flush=True)
