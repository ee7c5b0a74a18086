// Every HTTP response stays in a set, with a DynamoDB response on its locals.
// rule: L08
// holder: live_responses.js · live
// retainer: module-variable
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

const live = new Set();

app.get('/orders/:customer', async (request, response) => {
  response.locals.ddb = await ordersOf(request.params.customer);
  live.add(response);
  response.json({ count: response.locals.ddb.Items.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
