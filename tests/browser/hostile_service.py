"""A program that keeps responses of a real DynamoDB under keys, in attributes and with values that attack who looks.

``python hostile_service.py``: reads the table Hostile of the DynamoDB that its environment leads to, again and again,
and keeps every answer for ever.
"""

import json
import sys
import time

import boto3

KEPT = {}
HOSTILE = json.loads(sys.argv[1])
dynamodb = boto3.client("dynamodb")


def fetch(number):
    response = dynamodb.scan(TableName="Hostile")
    KEPT[f"{HOSTILE[number % len(HOSTILE)]} {number}"] = response


#: Type names are kept in every capture; these are as hostile as the keys.
Named = type(HOSTILE[0], (), {})
OBJECTS = {text: Named() for text in HOSTILE}

if __name__ == "__main__":
    for number in range(1_000_000):
        fetch(number)
        if number == len(HOSTILE):
            print("ready", flush=True)
        time.sleep(0.05)
