// A client for each request, kept in an array and never destroyed.
// rule: L04 L10
// holder: client_per_request.js · clients
// retainer: module-variable
// kind: client
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

const clients = [];

app.get('/orders/:customer', async (request, response) => {
  const own = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });
  clients.push(own);
  const answer = await own.send(new GetItemCommand({
    TableName: TABLE,
    Key: { customer_id: { S: request.params.customer }, order_id: { S: 'none' } },
  }));
  response.json({ found: answer.Item !== undefined });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
