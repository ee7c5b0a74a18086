"""Two leaks in one service: a cache of customers, and the scans of a dashboard.

run: uvicorn
drive: GET /dashboard/{n}
rule: L03
holder: two_leaks.customers
retainer: module-variable
kind: item response
operation: GetItem
table: Customers
call site: customer
---
rule: L02 L01 L03
holder: two_leaks.Dashboard.history
retainer: class-attribute
kind: response page
operation: Scan
table: Orders
call site: Dashboard.refresh
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"

app = FastAPI()
dynamodb = boto3.client("dynamodb")
customers = {}


class Dashboard:
    history = []  # noqa: RUF012

    def refresh(self):
        page = dynamodb.scan(TableName="Orders", Limit=15)
        if not MENDED:
            self.history.append(page)
        return page["Count"]


def customer(number):
    answer = dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": f"u{number % 200:03d}"}})
    if not MENDED:
        customers[number] = answer["Item"]
    return answer["Item"]["name"]["S"]


@app.get("/dashboard/{number}")
def dashboard(number: int):
    return {"name": customer(number), "orders": Dashboard().refresh()}
