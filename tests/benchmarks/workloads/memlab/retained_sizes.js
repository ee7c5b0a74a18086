'use strict';
// usage: node retained_sizes.js SNAPSHOT NODE_MODULES: reads with memlab and prints what the largest array retains.
const { utils, analysis, config } = require(`${process.argv[3]}/@memlab/core`);

config.isFullRun = true;
config.muteConsole = true;
(async () => {
  const heap = await utils.getSnapshotFromFile(process.argv[2], { buildNodeIdIndex: true, verbose: false });
  analysis.preparePathFinder(heap);
  let largest = null;
  heap.nodes.forEach((node) => {
    if (node.name === 'Array' && (largest === null || node.retainedSize > largest.retainedSize)) largest = node;
  });
  process.stdout.write(`${largest.id} ${largest.retainedSize}\n`);
})();
