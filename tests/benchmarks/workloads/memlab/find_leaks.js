'use strict';
// usage: node find_leaks.js NODE_MODULES WORK_DIR BASELINE TARGET FINAL
// What memlab calls leaks: objects that came between the first two snapshots and are still in the third.
const { analysis, config, fileManager } = require(`${process.argv[2]}/@memlab/core`);

const [workDir, ...snapshots] = process.argv.slice(3);
config.useExternalSnapshot = true;
config.externalSnapshotFilePaths = snapshots;
config.isFullRun = true;
fileManager.initDirs(config, { workDir });
fileManager.createDefaultVisitOrderMetaFile({ snapshotFiles: snapshots });
config.muteConsole = true;
// Its own rules are made for pages: detached elements, unmounted components. For a server it is told what is large.
config.externalLeakFilter = { leakFilter: (node) => node.retainedSize >= 4096 };

/** The end of a trace from the root to a leaked object: the edges, and what they lead to. */
function told(trace) {
  const steps = Object.keys(trace).map((key) => /--(.+?) \((\w+)\)---> +\[(.*?)\]/.exec(key)).filter(Boolean);
  return steps.slice(-9).map(([, edge, , name]) => `${edge} → ${name}`).join(' · ');
}

(async () => {
  const leaks = await analysis.checkLeak();
  process.stdout.write(`${leaks.length} leak clusters\n`);
  for (const leak of leaks.slice(0, 3)) process.stdout.write(`${told(leak)}\n`);
})();
