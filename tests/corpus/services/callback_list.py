"""Listeners registered per request and never removed; each is a closure over the item it was made for.

run: uvicorn
drive: POST /watch/{n}
rule: L09 L07
holder: callback_list.changes.listeners
retainer: callback attribute closure
kind: item response
operation: GetItem
table: Documents
call site: watch
"""

import os

import boto3
from fastapi import FastAPI

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"


class Changes:
    def __init__(self):
        self.listeners = []

    def on_change(self, listener):
        self.listeners.append(listener)

    def off(self, listener):
        self.listeners.remove(listener)


app = FastAPI()
changes = Changes()
documents = boto3.resource("dynamodb").Table("Documents")


@app.post("/watch/{number}")
def watch(number: int):
    item = documents.get_item(Key={"document_id": f"d{number % 60:02d}"})["Item"]

    def changed(version):
        return version != item["version"]

    changes.on_change(changed)
    if MENDED:
        changes.off(changed)
    return {"watching": item["document_id"]}
