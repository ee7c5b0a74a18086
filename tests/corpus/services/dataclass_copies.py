"""Items are copied into dataclasses "so that nothing of the SDK is kept"; the dataclasses are.

run: worker
rule: L03 L02
holder: dataclass_copies.ledger.entries
retainer: attribute
kind: item items
operation: Query
table: Orders
call site: none
"""

import os
import sys
from dataclasses import dataclass, field

import boto3
from boto3.dynamodb.conditions import Key

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


@dataclass
class Entry:
    order_id: str
    raw: dict


@dataclass
class Ledger:
    entries: list = field(default_factory=list)


ledger = Ledger()
table = boto3.resource("dynamodb").Table("Orders")

for line in sys.stdin:
    answer = table.query(KeyConditionExpression=Key("customer").eq(f"c{int(line) % 60:02d}"))
    if MENDED:
        ledger.entries.clear()
    ledger.entries.extend(Entry(item["order_id"], dict(item.items())) for item in answer["Items"])
    print("done", flush=True)
