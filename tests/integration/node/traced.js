// A service whose client is traced; what fetched the kept items cannot be told from its lines.
'use strict';
const { DynamoDBClient, GetItemCommand, QueryCommand, paginateQuery } = require('@aws-sdk/client-dynamodb');
const library = require('@aws-sdk/lib-dynamodb');
const express = require('express');

const configuration = { endpoint: process.env.DYNAMODB_ENDPOINT };
const client = new DynamoDBClient(configuration);
client.middlewareStack.use(require('./dynamodb-tracing.cjs'));
client.middlewareStack.use(require('./dynamodb-tracing.cjs'));
const documents = library.DynamoDBDocumentClient.from(client);
const untraced = new DynamoDBClient(configuration);
const [orders, bound, pages, dropped] = [[], new Map(), [], []];
const places = { lines: ['Or', 'ders'].join(''), goods: ['Pro', 'ducts'].join('') };

// One call for everything: only the stack tells who asked.
function ask(through, Command, TableName, rest) {
  return through.send(new Command({ TableName, ...rest }));
}

function byCustomer(customer) {
  return { KeyConditionExpression: 'customer_id = :c', ExpressionAttributeValues: { ':c': customer }, Limit: 3 };
}

const app = express();
const shop = express.Router();
app.use('/shop', shop);
shop.get('/orders/:customer', async (request, response) => {
  const { customer } = request.params;
  const { Items } = await ask(client, QueryCommand, places.lines, byCustomer({ S: customer }));
  orders.push(...Items);
  const key = { customer_id: customer, order_id: Items[0].order_id.S };
  const found = await ask(documents, library.GetCommand, places.lines, { Key: key });
  bound.set(`${customer} ${bound.size}`, found.Item);
  await ask(client, GetItemCommand, places.goods, { Key: { sku: { S: 'none' } } });
  const { pagesOf } = await import('./reports.mjs');
  for await (const page of pagesOf(paginateQuery, client, { TableName: places.lines, ...byCustomer({ S: customer }) })) {
    pages.push(page);
    if (pages.length % 2 === 0) break;
  }
  response.json({});
});
app.get('/drop', (request, response) => {
  orders.length = pages.length = 0;
  bound.clear();
  response.json({});
});
app.get('/alike', async (request, response) => {
  const shape = async (through) => {
    const answer = await ask(through, QueryCommand, places.lines, byCustomer({ S: 'C00000' }));
    const each = [answer, answer.$metadata, answer.Items, ...answer.Items];
    return [each.map((part) => Reflect.ownKeys(part).map(String)), JSON.stringify(answer.Items)];
  };
  const failed = await ask(client, GetItemCommand, 'Missing', { Key: { sku: { S: 'none' } } }).catch((error) => error.name);
  response.json({ traced: await shape(client), untraced: await shape(untraced), failed });
});
app.get('/health', (request, response) => response.json({}));
app.listen(Number(process.argv[2]), '127.0.0.1');
