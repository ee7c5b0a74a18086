'use strict';
// Three snapshots of a program that keeps the same routes all along, and whose code V8 compiles meanwhile.
//
//   node --expose-gc warming.js FOLDER

const path = require('node:path');
const v8 = require('node:v8');

/** Source of a function with enough code to be seen among a small program's bytes. */
function body(name) {
  const lines = Array.from({ length: 2000 }, (_, k) => `  sum = sum * ${k + 2} + ${k} % (sum + 1);`);
  return `function ${name}(sum) {\n${lines.join('\n')}\n  return sum;\n}`;
}

/** Routes as a module of Express makes them: their handlers share its variables, which belong to no route alone. */
const routesOf = new Function(`
${['first', 'second', 'third'].map(body).join('\n')}
return [
  { handle: (sum) => first(sum) },
  { handle: (sum) => second(sum) },
  { handle: (sum) => third(sum) },
];`);
const router = { stack: routesOf().map((layer) => ({ route: { stack: [layer] } })) };
// And a few objects of a class whose prototype nothing else mentions: it is no element of theirs.
const endpoints = new Map([1, 2, 3, 4, 5, 6, 7, 8, 9].map((k) => [`endpoint ${k}`, { url: new URL(`http://127.0.0.1:${k}/`) }]));
module.exports = { get current() { return [router, endpoints]; } };

function snapshot(moment) {
  global.gc();
  v8.writeHeapSnapshot(path.join(process.argv[2], `${moment}.heapsnapshot`));
}

snapshot(0);
router.stack[0].route.stack[0].handle(1);
snapshot(1);
router.stack[1].route.stack[0].handle(1);
router.stack[2].route.stack[0].handle(1);
snapshot(2);
