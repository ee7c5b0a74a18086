'use strict';
// usage: node --expose-gc responses.js COUNT SNAPSHOT: keeps so many DynamoDB responses, and writes a snapshot of itself.
const v8 = require('node:v8');

const kept = [];
const sessions = new Map();
const count = Number(process.argv[2]);

for (let number = 0; number < count; number++) {
  kept.push({
    Items: [{
      customer: { S: `C${number}` }, day: { S: `2026-${(number % 12) + 1}-${(number % 28) + 1}` }, state: { S: 'open' },
      total: { N: String(number % 9973) }, tags: { L: [{ S: `t${number % 50}` }, { S: `u${number % 7}` }] },
    }],
    Count: 1,
    ScannedCount: 1,
    $metadata: { httpStatusCode: 200, requestId: `request-${number}`, attempts: 1, totalRetryDelay: 0 },
  });
  if (number % 10 === 0) sessions.set(`user-${number}`, { number, since: number * 7 });
}
global.gc();
v8.writeHeapSnapshot(process.argv[3]);
module.exports = { kept, sessions };
