"""A session, and with it every data model it loads, for each job; kept in a dict by tenant.

run: worker
ticks: 3
rule: L05
holder: session_per_request.SESSIONS
retainer: module-variable
kind: session client
call site: none
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
SESSIONS = {}


def session_for(tenant):
    key = "shared" if MENDED else tenant
    if key not in SESSIONS:
        session = boto3.session.Session()
        SESSIONS[key] = (session, session.client("dynamodb"))
    return SESSIONS[key]


for line in sys.stdin:
    _, dynamodb = session_for(f"tenant-{line.strip()}")
    dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": "u001"}})
    print("done", flush=True)
