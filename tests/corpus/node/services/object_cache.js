// A plain object used as a dictionary, in a class of the program.
// rule: L03
// holder: object_cache.js · store.entries
// retainer: attribute
// kind: items
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

class Store {
  constructor() {
    this.entries = {};
    this.asked = 0;
  }

  async load(customer) {
    const answer = await ordersOf(customer);
    this.entries[`${customer}-${this.asked++}`] = answer.Items;
    return answer;
  }
}
const store = new Store();

app.get('/orders/:customer', async (request, response) => {
  const answer = await store.load(request.params.customer);
  response.json({ count: answer.Items.length });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
