// Pages of an export gathered in an outer array.
// rule: L02
// holder: outer_pages.js · pages
// retainer: module-variable
// kind: items item
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

const pages = [];

app.get('/orders/:customer', async (request, response) => {
  const question = {
    TableName: TABLE,
    KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': { S: request.params.customer } },
  };
  for await (const page of paginateQuery({ client, pageSize: 2 }, question)) pages.push(page.Items);
  response.json({ pages: pages.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
