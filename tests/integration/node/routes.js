// One request to an Express service, asked through the tracer, and a heap snapshot while the answer is kept.
//   node routes.js TRACER FILE
'use strict';
const http = require('node:http');
const v8 = require('node:v8');
const express = require('express');

const [tracer, file] = process.argv.slice(2);
let traced;
require(tracer).applyToStack({ add: (middleware) => (traced = middleware) });
// The tracer sees what it would see of a client: a call that takes a while, and its answer.
const send = traced(
  async () => {
    await new Promise((done) => setTimeout(done, 5));
    return { output: { Item: { id: { S: 'x' } }, $metadata: { requestId: 'r-1' } } };
  },
  { commandName: 'GetItemCommand' },
);
globalThis.kept = [];

const shop = express.Router();
shop.get('/orders/:id', async (request, response) => {
  await null;
  kept.push((await send({ input: { TableName: 'Orders' } })).output);
  response.json({});
});
const app = express();
app.use('/tenants/42', shop);
const server = app.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, path: '/tenants/42/orders/7' }, (answer) => {
    answer.resume().on('end', () => {
      v8.writeHeapSnapshot(file);
      server.close();
    });
  });
});
