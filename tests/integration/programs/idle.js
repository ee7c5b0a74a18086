'use strict';
// Holds a few responses in a module variable and says on standard output how often its event loop turned.
const responses = [];
for (let i = 0; i < 200; i++) responses.push({ Items: [{ id: { S: `id-${i}` } }], $metadata: { requestId: `r-${i}` } });
let turns = 0;
setInterval(() => { turns += 1; process.stdout.write(`${turns}\n`); }, 50);
module.exports = { handler: () => responses };
