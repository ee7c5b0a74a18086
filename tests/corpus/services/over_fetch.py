"""Whole documents are fetched and kept where only title and version are ever used.

run: uvicorn
drive: GET /titles/{n}
rule: L17 L01 L03
holder: over_fetch.index.documents
retainer: attribute
kind: item response
operation: GetItem
table: Documents
call site: none
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


class Index:
    def __init__(self):
        self.documents = {}


app = FastAPI()
index = Index()
documents = boto3.resource("dynamodb").Table("Documents")


@app.get("/titles/{number}")
def title(number: int):
    key = {"document_id": f"d{number % 60:02d}"}
    if MENDED:
        item = documents.get_item(Key=key, ProjectionExpression="title, version")["Item"]
    else:
        item = index.documents[number] = documents.get_item(Key=key)["Item"]
    return {"title": item["title"]}
