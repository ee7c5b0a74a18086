// A small binary attribute of each order is kept; each pins the slab that it was cut from.
// rule: L13 L02
// holder: slab_binaries.js · labels
// retainer: module-variable
// kind: attribute-value
// operation: Query
// table: Orders
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

const labels = [];

app.get('/orders/:customer', async (request, response) => {
  const answer = await ordersOf(request.params.customer);
  for (const item of answer.Items) labels.push(item.label.B);
  response.json({ count: answer.Items.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
