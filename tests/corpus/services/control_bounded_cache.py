"""Control: the last fifty responses, no more.

run: uvicorn
drive: GET /customers/{customer}/orders?as_of={n}
"""

from collections import OrderedDict

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

app = FastAPI()
dynamodb = boto3.client("dynamodb")
RECENT = OrderedDict()


@app.get("/customers/{customer}/orders")
def orders(customer: str, as_of: int):
    response = RECENT[customer, as_of] = dynamodb.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
    )
    if len(RECENT) > 50:
        RECENT.popitem(last=False)
    return {"orders": response["Count"]}
