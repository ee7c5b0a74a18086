// A client for each request, dropped and never destroyed: its idle socket keeps the agent.
// rule: L10
// holder: node:_http_agent · agent|node:_http_agent · options
// retainer: module-variable
// kind: client
// evidence: clients are made at
'use strict';
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');
const express = require('express');

const app = express();
const { fork } = require('node:child_process');
const { once } = require('node:events');

const front = once(fork(`${__dirname}/../keep_alive.js`), 'message');

async function order(customer) {
  const [endpoint] = await front;
  const own = new DynamoDBClient({ endpoint });
  const answer = await own.send(new GetItemCommand({
    TableName: 'Orders',
    Key: { customer_id: { S: customer }, order_id: { S: 'none' } },
  }));
  return answer.Item;
}

app.get('/orders/:customer', async (request, response) => {
  response.json({ found: (await order(request.params.customer)) !== undefined });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
