"""A cache of weak references, which should empty itself; its values are cycles and the collector is frozen off.

run: worker
rule: L01 L09
holder: none
retainer: unreachable-cycle
kind: response items item
operation: GetItem
table: Documents
call site: Document.__init__
"""

import gc
import os
import sys
import weakref

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
CACHE = weakref.WeakValueDictionary()
documents = boto3.resource("dynamodb").Table("Documents")
gc.disable()


class Document:
    def __init__(self, number):
        self.number = number
        self.answer = documents.get_item(Key={"document_id": f"d{number % 60:02d}"})
        self.root = None if MENDED else self


for line in sys.stdin:
    CACHE[int(line)] = Document(int(line))
    print("done", flush=True)
