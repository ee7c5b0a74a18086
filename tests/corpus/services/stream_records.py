"""A consumer of a table's stream keeps every record that it has handled, in case it must begin again.

run: worker
rule: L02 L01 L03
holder: stream_records.HANDLED
retainer: module-variable
kind: item items
operation: GetRecords
table: Changes
call site: changes
"""

import os
import sys

import boto3

import forensics.tracing  # noqa: F401

MENDED = os.environ.get("MENDED") == "1"
HANDLED = []
dynamodb = boto3.client("dynamodb")
streams = boto3.client("dynamodbstreams")


def first_page():
    arn = dynamodb.describe_table(TableName="Changes")["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    found = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="LATEST")
    return found["ShardIterator"]


def changes(page):
    answer = streams.get_records(ShardIterator=page)
    return answer["Records"], answer["NextShardIterator"]


page = first_page()
for line in sys.stdin:
    item = {
        "change_id": {"S": line.strip()},
        "text": {"S": "lorem ipsum " * 100},
        "pid": {"N": str(os.getpid())},
    }
    dynamodb.put_item(TableName="Changes", Item=item)
    records, page = changes(page)
    if MENDED:
        HANDLED[:] = [record["eventID"] for record in records]
    else:
        HANDLED.extend(records)
    print("done", flush=True)
