// Middleware is added to the one client for each request, and captures what the last call returned.
// rule: L07
// holder: closure anonymous (middleware_per_request.js:29) · answer
// retainer: handler closure callback
// kind: response
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

let turn = 0;

app.get('/orders/:customer', async (request, response) => {
  const answer = await ordersOf(request.params.customer);
  client.middlewareStack.add((next) => (args) => (answer ? next(args) : next(args)), { step: 'build', name: `m${turn++}` });
  response.json({ count: answer.Items.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
