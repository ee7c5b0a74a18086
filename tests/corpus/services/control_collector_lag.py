"""Control: cycles that the collector will take in its own time.

run: worker
"""

import sys

import boto3

import forensics.tracing  # noqa: F401

documents = boto3.resource("dynamodb").Table("Documents")


class Document:
    def __init__(self, number):
        self.item = documents.get_item(Key={"document_id": f"d{number % 60:02d}"})["Item"]
        self.root = self


for line in sys.stdin:
    Document(int(line))
    print("done", flush=True)
