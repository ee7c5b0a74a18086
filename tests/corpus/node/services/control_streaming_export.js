// Page by page, nothing kept.
'use strict';
const { DynamoDBClient, QueryCommand, GetItemCommand, paginateQuery } = require('@aws-sdk/client-dynamodb');
const express = require('express');

const TABLE = 'Orders';
const app = express();
const client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });

function ordersOf(customer) {
  return client.send(new QueryCommand({
    TableName: TABLE,
    KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': { S: customer } },
    Limit: 3,
  }));
}

app.get('/orders/:customer', async (request, response) => {
  const question = {
    TableName: TABLE,
    KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': { S: request.params.customer } },
  };
  for await (const page of paginateQuery({ client, pageSize: 2 }, question)) {
    for (const item of page.Items) response.write(item.order_id.S);
  }
  response.end();
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
