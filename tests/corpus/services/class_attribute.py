"""A repository class keeps what it read in a class attribute, shared by all instances and never cleared.

run: worker
rule: L03 L02
holder: class_attribute.OrderRepository._by_request
retainer: class-attribute
kind: items item
operation: Query
table: Orders
call site: OrderRepository.of_day
"""

import os
import sys

import boto3
from boto3.dynamodb.conditions import Key

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


class OrderRepository:
    _by_request = {}  # noqa: RUF012

    def __init__(self, table):
        self.table = table

    def of_day(self, request, day):
        answer = self.table.query(IndexName="by-day", KeyConditionExpression=Key("day").eq(day), Limit=12)
        self._by_request[request] = answer["Items"]
        return answer["Items"]

    def done(self, request):
        if MENDED:
            self._by_request.pop(request, None)


table = boto3.resource("dynamodb").Table("Orders")

for line in sys.stdin:
    repository = OrderRepository(table)
    repository.of_day(int(line), int(line) % 20)
    repository.done(int(line))
    print("done", flush=True)
