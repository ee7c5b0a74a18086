// Runs each remedy against the real SDK and prints what became of it: {"kind name": "" or why it failed}.
// Arguments: a file with {remedies: {name: code}, lines: {name: code}}, and the program that keeps connections open. The DynamoDB is the environment's.
'use strict';
const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { DynamoDBClient, GetItemCommand, ScanCommand, paginateScan } = require('@aws-sdk/client-dynamodb');
const express = require('express');

const client = new DynamoDBClient({});
const ORDERS = 250;

/** What the code declares under these names; it is run as it stands, with this file's `require`. */
function declared(code, ...names) {
  return new Function('require', `${code}\nreturn { ${names.join(', ')} };`)(require);
}

async function settled(isSo) {
  for (let i = 0; i < 500 && !isSo(); i++) await sleep(20);
  assert.ok(isSo());
}

async function served(app, use) {
  const server = http.createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await use(server.address().port);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const trials = {
  async L01(code) {
    const names = await declared(code, 'namesOf').namesOf(client, 'C7');
    assert.equal(names.length, ORDERS / 10);
    for (const [order, status] of names) assert.ok(order.startsWith('o-') && ['open', 'shipped'].includes(status));
  },
  async L02(code) {
    const { exportOrders } = declared(code, 'exportOrders');
    const all = new Set();
    await exportOrders(client, async (order) => all.add(order));
    assert.equal(all.size, ORDERS);
    const some = [];
    await exportOrders(client, async (order) => some.push(order), 120);
    assert.equal(some.length, 120);
  },
  async L03(code) {
    const { BoundedCache } = declared(code, 'BoundedCache');
    const cache = new BoundedCache(3);
    for (const key of ['a', 'b', 'c']) cache.set(key, key);
    cache.get('a');
    cache.set('d', 'd');
    assert.deepEqual(['a', 'b', 'c', 'd'].map((key) => cache.get(key)), ['a', undefined, 'c', 'd']);
    const brief = new BoundedCache(3, 0.01);
    brief.set('a', 'a');
    await sleep(50);
    assert.equal(brief.get('a'), undefined);
  },
  async L04(code) {
    const found = declared(code, 'client', 'customer');
    assert.ok(found.client instanceof DynamoDBClient);
    const { Item } = await found.customer('u1');
    assert.equal(Item.name.S, 'Ada');
  },
  async L07(code) {
    const found = declared(code, 'client');
    const stack = () => found.client.middlewareStack.identify();
    assert.equal(stack().filter((each) => each.startsWith('requestTiming')).length, 1);
    const before = stack().length;
    for (let i = 0; i < 20; i++) new Function('client', code.slice(code.indexOf('client.middlewareStack.add')))(found.client);
    assert.equal(stack().length, before);
    assert.ok((await found.client.send(new ScanCommand({ TableName: 'Customers' }))).Count > 0);
  },
  async L08(code) {
    const { track, live } = declared(code, 'track', 'live');
    const kept = [];
    const app = express();
    app.use(track);
    app.get('/done', (request, response) => {
      response.locals.ddb = kept;
      response.json(live.size);
    });
    app.get('/never', (request, response) => {
      response.locals.ddb = kept;
      kept.push(response);
    });
    await served(app, async (port) => {
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/done`)).json(), 1);
      await settled(() => live.size === 0);
      const call = http.get(`http://127.0.0.1:${port}/never`).on('error', () => {});
      await settled(() => live.size === 1 && kept.length === 1);
      call.destroy();
      await settled(() => live.size === 0);
      assert.equal(kept[0].locals.ddb, undefined);
    });
  },
  async L09(code) {
    const { nextTick } = declared(code, 'nextTick');
    const bus = new EventEmitter();
    const waiting = nextTick(bus);
    bus.emit('tick', 42);
    assert.equal(await waiting, 42);
    // The timer of AbortSignal.timeout alone keeps no process alive.
    const [outcome] = await Promise.allSettled([Promise.race([nextTick(bus, 20), sleep(20_000)])]);
    assert.equal(outcome.reason?.name, 'AbortError');
    assert.equal(bus.listenerCount('tick'), 0);
  },
  async captured(code) {
    const answers = [];
    const noted = async (command) => {
      const answer = await client.send(command);
      answers.push(new WeakRef(answer));
      return answer;
    };
    const bus = new EventEmitter();
    const query = {
      TableName: 'Orders',
      KeyConditionExpression: 'customer_id = :c',
      ExpressionAttributeValues: { ':c': { S: 'C7' } },
    };
    await declared(code, 'watch').watch({ send: noted }, bus, query);
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc');
    await settled(() => gc() ?? answers[0].deref() === undefined);
    assert.equal(bus.listenerCount('tick'), 1);
  },
  async L10(code) {
    const { withClient } = declared(code, 'withClient');
    // moto closes every connection; in front of it they stay open, as with the real DynamoDB.
    const [endpoint] = await once(fork(process.argv[3]), 'message');
    const get = () => new GetItemCommand({ TableName: 'Customers', Key: { customer_id: { S: 'u1' } } });
    let open;
    const order = await withClient({ endpoint }, async (each) => {
      const answer = await each.send(get());
      const { httpAgent } = await each.config.requestHandler.configProvider;
      open = () => Object.values({ ...httpAgent.sockets, ...httpAgent.freeSockets }).flat().length;
      await settled(() => open() === 1);
      return answer;
    });
    assert.equal(order.Item.name.S, 'Ada');
    await settled(() => open() === 0);
    await assert.rejects(withClient({}, async () => assert.fail('its work')), /its work/);
  },
  async L13(code) {
    const { keep } = declared(code, 'keep');
    const { Item } = await client.send(new GetItemCommand({ TableName: 'Customers', Key: { customer_id: { S: 'u1' } } }));
    const binary = Item.label.B;
    assert.ok(binary.buffer.byteLength > binary.byteLength, 'the SDK cuts it from a slab');
    const kept = keep(binary);
    assert.equal(kept.buffer.byteLength, binary.byteLength);
    assert.deepEqual([...kept], [...binary]);
  },
  async L14(code) {
    const { stream } = declared(code, 'stream');
    const text = await served(
      (request, response) => stream(client, response).catch((error) => response.destroy(error)),
      async (port) => (await fetch(`http://127.0.0.1:${port}/`)).text(),
    );
    assert.equal(new Set(text.trimEnd().split('\n')).size, ORDERS);
  },
  async L17(code) {
    const answer = await declared(code, 'openOrders').openOrders(client, 'open');
    assert.equal(answer.Count, ORDERS / 2);
    assert.equal(answer.ScannedCount, answer.Count);
    for (const item of answer.Items) assert.deepEqual(Object.keys(item), ['order_id']);
  },
  async L18(code) {
    const { Items } = await client.send(new ScanCommand({ TableName: 'Orders', Limit: 1 }));
    assert.ok('card' in Items[0]);
    assert.deepEqual(Object.keys(declared(code, 'visible').visible(Items[0])).sort(), ['order_id', 'placed_at', 'status']);
  },
  async G01(code) {
    const { remember, recent } = declared(code, 'remember', 'recent');
    for (let i = 0; i < 50; i++) remember(i, 10);
    assert.deepEqual(recent, Array.from({ length: 10 }, (_, i) => 40 + i));
  },
};

/** Lines to be put into a program, run among the names that such a program has. */
async function among(names, code, result) {
  return new Function(...Object.keys(names), `return (async () => { ${code}\nreturn ${result}; })();`)(...Object.values(names));
}

const lines = {
  async L01(code) {
    const totals = new Map();
    await among({ totals, id: 'u1', Item: { total: 3 } }, code);
    assert.deepEqual([...totals], [['u1', 3]]);
  },
  async L02(code) {
    const handled = [];
    const pages = paginateScan({ client, pageSize: 100 }, { TableName: 'Orders' });
    await among({ pages, handle: (page) => handled.push(page.Count) }, code);
    assert.deepEqual(handled.filter(Boolean), [100, 100, 50]);
  },
  async L04(code) {
    const made = await among({ DynamoDBClient }, code, 'client');
    assert.ok((await made.send(new ScanCommand({ TableName: 'Customers' }))).Count > 0);
  },
  async FP3(code) {
    setFlagsFromString('--expose-gc');
    globalThis.gc = runInNewContext('gc');
    const gone = new WeakRef({});
    await sleep(0);
    await among({}, code);
    assert.equal(gone.deref(), undefined);
    delete globalThis.gc;
    await among({}, code);
  },
};

(async () => {
  const codes = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
  const outcomes = {};
  for (const [kind, known] of Object.entries({ remedies: trials, lines })) {
    assert.deepEqual(Object.keys(codes[kind]).sort(), Object.keys(known).sort(), `a trial for each of the ${kind}`);
    for (const [name, code] of Object.entries(codes[kind])) {
      outcomes[`${kind} ${name}`] = await known[name](code).then(() => '', (error) => String(error.stack));
    }
  }
  console.log(JSON.stringify(outcomes));
  process.exit();
})();
