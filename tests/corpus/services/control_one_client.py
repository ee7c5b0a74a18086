"""Control: one client for the process, as it should be; nothing is kept of any response.

run: uvicorn
drive: GET /customers/{n}
"""

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

app = FastAPI()
dynamodb = boto3.client("dynamodb")


@app.get("/customers/{number}")
def customer(number: int):
    answer = dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": f"u{number % 200:03d}"}})
    return {"name": answer["Item"]["name"]["S"]}
