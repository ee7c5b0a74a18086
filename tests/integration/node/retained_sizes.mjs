// usage: node retained_sizes.mjs SNAPSHOT NODE_MODULES
// Writes one line for each node: id, retained size by DevTools' own code, and whether its bytes count for its owner.
import { createReadStream } from 'node:fs';
import { pathToFileURL } from 'node:url';

const { parse } = await import(pathToFileURL(`${process.argv[3]}/heap-snapshot-toolkit/index.js`));
const snapshot = await parse(createReadStream(process.argv[2], 'utf-8'));
const node = snapshot.createNode(0);
const lines = [];
for (let i = 0; i < snapshot.nodeCount; i++) {
  node.nodeIndex = i * snapshot.nodeFieldCount;
  const owned = node.isHidden() || node.isArray() || node.rawName() === 'system / ExternalStringData';
  lines.push(`${node.id()} ${node.retainedSize()} ${owned ? 1 : 0}`);
}
process.stdout.write(lines.join('\n') + '\n');
