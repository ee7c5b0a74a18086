"""The right remedies in JavaScript, for the AWS SDK v3; the tests see that Node takes the code."""

from __future__ import annotations

from forensics.findings import Remediation


def _remedy(summary: str, code: str) -> Remediation:
    return Remediation(summary, code, "javascript")


REMEDIES: dict[str, Remediation] = {
    "L01": _remedy(
        "Project the attributes that are used, keep those, and drop the response.",
        """\
const { QueryCommand } = require('@aws-sdk/client-dynamodb');

async function namesOf(client, customer) {
  const { Items = [] } = await client.send(new QueryCommand({
    TableName: 'Orders',
    KeyConditionExpression: 'customer_id = :c',
    ExpressionAttributeValues: { ':c': { S: customer } },
    ProjectionExpression: 'order_id, #s',
    ExpressionAttributeNames: { '#s': 'status' },
  }));
  // Keep what is needed; the response and its metadata go when the function returns.
  return Items.map((item) => [item.order_id.S, item.status.S]);
}
""",
    ),
    "L02": _remedy(
        "Work on one page at a time, cap the items, and drop each page.",
        """\
const { paginateScan } = require('@aws-sdk/client-dynamodb');

async function exportOrders(client, write, most = 10_000) {
  let written = 0;
  // One page is in memory at a time; an array of pages would hold them all.
  for await (const page of paginateScan({ client, pageSize: 100 }, { TableName: 'Orders' })) {
    for (const item of page.Items ?? []) {
      if (written++ >= most) return;
      await write(item.order_id.S);
    }
  }
}
""",
    ),
    "L03": _remedy(
        "Give the cache a maximum size and a time to live, and keep only the attributes that are used.",
        """\
class BoundedCache {
  // At most `maximum` entries, none older than `seconds`; the least recently used one goes first.
  #entries = new Map();

  constructor(maximum = 1000, seconds = 60) {
    this.maximum = maximum;
    this.milliseconds = seconds * 1000;
  }

  get(key) {
    const entry = this.#entries.get(key);
    if (entry === undefined || Date.now() - entry.born > this.milliseconds) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key, value) {
    this.#entries.delete(key);
    this.#entries.set(key, { born: Date.now(), value });
    while (this.#entries.size > this.maximum) this.#entries.delete(this.#entries.keys().next().value);
  }
}
""",
    ),
    "L04": _remedy(
        "Make one client when the process starts and share it between requests.",
        """\
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');

// One client for the process: it keeps its connections open and may be used by all requests at once.
const client = new DynamoDBClient({});

function customer(id) {
  return client.send(new GetItemCommand({ TableName: 'Customers', Key: { customer_id: { S: id } } }));
}
""",
    ),
    "L07": _remedy(
        "Add middleware to a client once, where the client is made, and give it a name.",
        """\
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');

const client = new DynamoDBClient({});
// Once for the process, not for each request; `override` replaces one of the same name.
client.middlewareStack.add((next) => async (args) => next(args), {
  step: 'build',
  name: 'requestTiming',
  override: true,
});
""",
    ),
    "L08": _remedy(
        "Keep a small record of what is needed, and clear it when the request ends or is aborted.",
        """\
const live = new Set();

function track(request, response, next) {
  live.add(response);
  const done = () => {
    live.delete(response);
    response.locals = {};
  };
  // `finish` alone misses requests that the client gave up; `close` comes after both.
  response.once('finish', done);
  response.once('close', done);
  next();
}
""",
    ),
    "L09": _remedy(
        "Remove the listener, clear the timer, give the promise a deadline, and capture only what is needed.",
        """\
const { once } = require('node:events');

async function nextTick(bus, milliseconds = 30_000) {
  // The listener goes with the answer or with the deadline, whichever comes first.
  const [value] = await once(bus, 'tick', { signal: AbortSignal.timeout(milliseconds) });
  return value;
}
""",
    ),
    "L10": _remedy(
        "Share one client; one that must be made for a task is destroyed when the task ends.",
        """\
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb');

async function withClient(configuration, work) {
  const client = new DynamoDBClient(configuration);
  try {
    return await work(client);
  } finally {
    client.destroy(); // closes its keep-alive sockets
  }
}
""",
    ),
    "L13": _remedy(
        "Copy the small binary out of the slab it was cut from before it is kept.",
        """\
function keep(binary) {
  // A small Buffer is a view of a shared slab of 8 kB; the copy has memory of its own.
  return Uint8Array.from(binary);
}
""",
    ),
    "L14": _remedy(
        "Let the producer wait for the consumer: bound what is in flight, or stream with pipeline.",
        """\
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { paginateScan } = require('@aws-sdk/client-dynamodb');

async function stream(client, response) {
  async function* lines() {
    for await (const page of paginateScan({ client, pageSize: 100 }, { TableName: 'Orders' })) {
      for (const item of page.Items ?? []) yield `${item.order_id.S}\\n`;
    }
  }
  // The next page is fetched when the client has taken the last one.
  await pipeline(Readable.from(lines()), response);
}
""",
    ),
    "L17": _remedy(
        "Project the attributes that are used; query an index instead of filtering.",
        """\
const { QueryCommand } = require('@aws-sdk/client-dynamodb');

function openOrders(client, status) {
  return client.send(new QueryCommand({
    TableName: 'Orders',
    IndexName: 'by-status',
    KeyConditionExpression: '#s = :s',
    ExpressionAttributeNames: { '#s': 'status' },
    ExpressionAttributeValues: { ':s': { S: status } },
    ProjectionExpression: 'order_id',
  }));
}
""",
    ),
    "L18": _remedy(
        "Do not fetch or cache them; encrypt what must be kept; let it expire.",
        """\
const PUBLIC = ['order_id', 'status', 'placed_at'];

function visible(item) {
  // What is not named here is not kept, whatever the table holds.
  return Object.fromEntries(PUBLIC.filter((name) => name in item).map((name) => [name, item[name]]));
}
""",
    ),
    "G01": _remedy(
        "Bound the container, or empty it when its work is done.",
        """\
const recent = [];

function remember(entry, most = 1000) {
  recent.push(entry);
  if (recent.length > most) recent.splice(0, recent.length - most);
}
""",
    ),
}

#: Where a captured variable that no living function uses holds the data, whichever rule names the finding.
CAPTURED = _remedy(
    "Set the variable to null when it is done with, or declare it in a block of its own: the functions of a scope "
    "share its captured variables, and the one that lives longest keeps them all.",
    """\
const { QueryCommand } = require('@aws-sdk/client-dynamodb');

async function watch(client, bus, query) {
  let count;
  {
    // What functions in this block capture is not shared with those outside: it goes when the block has ended.
    const response = await client.send(new QueryCommand(query));
    const open = () => response.Items.filter((item) => item.status.S === 'open');
    count = open().length;
  }
  bus.on('tick', () => console.log(count));
}
""",
)
