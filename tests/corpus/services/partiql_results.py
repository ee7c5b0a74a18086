"""Results of PartiQL statements pile up in a deque without a bound.

run: worker
ticks: 4
rule: L01 L02 L03
holder: partiql_results.RESULTS
retainer: module-variable
kind: response
operation: ExecuteStatement
table: Orders
call site: run
"""

import os
import sys
from collections import deque

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
RESULTS = deque(maxlen=5 if MENDED else None)
dynamodb = boto3.client("dynamodb")


def run(customer):
    statement = "SELECT * FROM Orders WHERE customer = ?"
    RESULTS.append(dynamodb.execute_statement(Statement=statement, Parameters=[{"S": customer}]))


for line in sys.stdin:
    run(f"c{int(line) % 60:02d}")
    print("done", flush=True)
