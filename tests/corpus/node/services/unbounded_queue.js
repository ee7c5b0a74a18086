// Pages wait for a printer that takes one in five seconds; nothing holds the requests back.
// rule: L14
// holder: unbounded_queue.js · printing
// retainer: module-variable
// kind: items response item
// operation: Query
// table: Orders
// evidence: taken out one by one
'use strict';
const { DynamoDBClient, QueryCommand } = require('@aws-sdk/client-dynamodb');
const express = require('express');

const app = express();
const client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });

const printing = [];

function printOne() {
  const page = printing.shift();
  if (page !== undefined) process.stdout.write(`${page.length} labels\n`);
}
setInterval(printOne, 5000);

app.get('/orders/:customer', async (request, response) => {
  const answer = await client.send(new QueryCommand({
    TableName: 'Orders',
    KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': { S: request.params.customer } },
    Limit: 3,
  }));
  printing.push(answer.Items);
  response.json({ count: answer.Items.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
