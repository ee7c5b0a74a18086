// A heap of some tens of megabytes, and buffers of a hundred outside of it. Prints how often its event loop turned.
const orders = Array.from({ length: 60_000 }, (_, id) => ({ order_id: { S: `o${id}` }, total: { N: String(id) } }));
const buffers = Array.from({ length: 100 }, () => Buffer.alloc(1 << 20, 1));
let turns = 0;
setInterval(() => console.log((turns += orders.length && buffers.length ? 1 : 0)), 50);
