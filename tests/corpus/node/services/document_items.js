// Items of the document client, plain objects without their response, in an object by key.
// rule: L03 L02
// holder: document_items.js · latest
// retainer: module-variable
// kind: item
// operation: Query
// table: Orders
'use strict';
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');
const { DynamoDBDocumentClient, QueryCommand } = require('@aws-sdk/lib-dynamodb');
const express = require('express');

const TABLE = 'Orders';
const app = express();
const documents = DynamoDBDocumentClient.from(new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT }));

const latest = new Map();

app.get('/orders/:customer', async (request, response) => {
  const { Items } = await documents.send(new QueryCommand({
    TableName: TABLE,
    KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': request.params.customer },
    Limit: 3,
  }));
  for (const item of Items) latest.set(`${item.order_id} ${latest.size}`, item);
  response.json({ count: Items.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
