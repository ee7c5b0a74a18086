'use strict';
// A cluster: the primary, and two workers that hold a Map each. The primary says each turn; a worker that ends is told.
const cluster = require('node:cluster');

if (cluster.isPrimary) {
  for (let k = 0; k < 2; k++) cluster.fork();
  cluster.on('exit', (worker, code) => console.log(`worker ended with ${code}`));
  let turn = 0;
  setInterval(() => console.log(++turn), 20);
} else {
  const held = new Map(Array.from({ length: 64 }, (_, k) => [`K${k}`, { worker: cluster.worker.id, k }]));
  module.exports = { size: () => held.size };
  setInterval(() => held.size, 20);
}
