// Work that waits for an answer that never comes, the response among its variables.
// rule: L09
// holder: async notify (pending_promises.js:25) · local
// retainer: task closure callback
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

async function notify(answer) {
  await new Promise((resolve) => waiting.push(resolve));
  return answer.Items.length;
}
const waiting = [];

app.get('/orders/:customer', async (request, response) => {
  notify(await ordersOf(request.params.customer));
  response.json({});
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
