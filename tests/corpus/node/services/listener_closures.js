// A listener for each request that captures the response and is never removed.
// rule: L09
// holder: closure onTick (listener_closures.js:31) · answer
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

const { EventEmitter } = require('node:events');

const bus = new EventEmitter().setMaxListeners(0);

app.get('/orders/:customer', async (request, response) => {
  const answer = await ordersOf(request.params.customer);
  bus.on('tick', function onTick() { return answer.Items.length; });
  response.json({ count: answer.Items.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
