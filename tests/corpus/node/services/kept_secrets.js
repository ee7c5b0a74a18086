// Sessions with their tokens and e-mail addresses, cached without an end.
// rule: L18
// holder: kept_secrets.js · sessions
// retainer: module-variable
// kind: item
// operation: GetItem
// table: Sessions
// evidence: values that look like secrets
'use strict';
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');
const express = require('express');

const app = express();
const client = new DynamoDBClient({ endpoint: process.env.DYNAMODB_ENDPOINT });

const sessions = new Map();
let asked = 0;

app.get('/orders/:customer', async (request, response) => {
  const number = asked++ % 100;
  const { Item } = await client.send(new GetItemCommand({
    TableName: 'Sessions',
    Key: { session_id: { S: `s${String(number).padStart(3, '0')}` } },
  }));
  sessions.set(`${asked} ${request.params.customer}`, Item);
  response.json({ session: Item.session_id.S });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
