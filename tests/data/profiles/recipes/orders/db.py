"""Where the orders service reads its table."""

import boto3

TABLE = "Orders"
RESPONSES = []


def connect():
    return boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")


def fill(client, count):
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for number in range(count):
        item = {"pk": {"S": "customer"}, "sk": {"N": str(number)}, "note": {"S": f"{number:05d}" * 60}}
        client.put_item(TableName=TABLE, Item=item)


def fetch_page(client, limit):
    return client.query(
        TableName=TABLE,
        Limit=limit,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "customer"}},
    )


def keep_pages(client, count):
    for _ in range(count):
        RESPONSES.append(fetch_page(client, 25))
