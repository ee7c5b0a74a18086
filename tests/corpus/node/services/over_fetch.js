// Whole guides are fetched and kept where only the title is ever used.
// rule: L02
// holder: over_fetch.js · guides
// retainer: module-variable
// kind: item
// operation: GetItem
// table: Guides
// evidence: also L17: more is fetched than is used
'use strict';
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');
const express = require('express');

const app = express();
const client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });

const guides = [];

app.get('/orders/:customer', async (request, response) => {
  const { Item } = await client.send(new GetItemCommand({
    TableName: 'Guides',
    Key: { guide_id: { S: `m${guides.length % 10}` } },
  }));
  guides.push(Item);
  response.json({ title: Item.title.S });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
