'use strict';
// Preloaded into a service under test: on SIGUSR2 it collects garbage and writes how much V8 holds.
let count = 0;
process.on('SIGUSR2', () => {
  globalThis.gc();
  process.stderr.write(`${++count} ${process.memoryUsage().heapUsed}\n`);
});
