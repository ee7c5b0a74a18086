'use strict';
// A server whose variables nobody exports: what a census must find, and what it must not touch. Says each turn.
const http = require('node:http');

const responses = new Map();
const pages = [];
const seen = new Set();
const byCustomer = {};
let touched = 0;
const trap = new Proxy({}, { ownKeys() { touched++; return []; }, get() { touched++; return undefined; } });
const lazy = { get everything() { touched++; return pages; } };

function add(count) {
  for (let k = 0; k < count; k++) {
    const number = responses.size;
    responses.set(`C${number}`, { Items: [{ id: { S: `order-${number}` } }], Count: 1, $metadata: { requestId: `r${number}` } });
    pages.push([{ number }]);
    seen.add(`K${number}`);
    byCustomer[`C${number}`] = { number };
  }
}

const server = http.createServer((request, response) => {
  add(Number(new URL(request.url, 'http://x').searchParams.get('add') ?? 0));
  debugger; // stops nobody
  response.end(JSON.stringify({ touched, kept: [trap, lazy, seen, byCustomer].length }));
});
add(Number(process.argv[2] ?? 100));
server.listen(0, '127.0.0.1', () => console.log(`port=${server.address().port}`));
let turn = 0;
setInterval(() => console.log(++turn), 20);
