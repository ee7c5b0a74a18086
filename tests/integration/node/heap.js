'use strict';
// usage: node heap.js SNAPSHOT: holds what the tests know of, and writes a snapshot of itself.
const v8 = require('node:v8');
const { EventEmitter } = require('node:events');

const responses = [];
const byKey = new Map();
const seen = new Set();
const table = {};
const weak = new WeakMap();
const bus = new EventEmitter();
const keys = [];

function response(number) {
  return {
    Items: [{ order_id: { S: `order-${number}` }, total: { N: String(number) }, note: { S: 'a "quoted"\n\\ 😀 note' } }],
    Count: 1,
    $metadata: { httpStatusCode: 200, requestId: `request-${number}`, attempts: 1 },
  };
}

for (let i = 0; i < 50; i++) {
  responses.push(response(i));
  byKey.set(`customer-${i}`, response(1000 + i));
  seen.add({ number: i });
  table[`entry-${i}`] = response(2000 + i);
  const key = { i };
  keys.push(key);
  weak.set(key, { payload: new Array(100).fill(i + 0.5) });
  bus.on('tick', function onTick() { return key; });
}
bus.setMaxListeners(0);
module.exports = { responses, byKey, seen, table, weak, bus, keys, secret: ['AKIA', 'ABCDEFGHIJKLMNOP'].join('') };
global.gc();
v8.writeHeapSnapshot(process.argv[2]);
