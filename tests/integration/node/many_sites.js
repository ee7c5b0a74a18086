// Far more call sites and tables than the tracer remembers; afterwards nothing of the responses is kept but one item.
'use strict';
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb');
const vm = require('node:vm');
const v8 = require('node:v8');
const tracing = require(process.argv[2]);

const client = new DynamoDBClient({ region: 'eu-central-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } });
client.middlewareStack.use(tracing);
// Below the tracer the call ends here, without a network.
client.middlewareStack.add(() => async () => ({ output: { $metadata: { requestId: 'r-1' }, Item: { id: '1' } } }), {
  step: 'initialize',
  priority: 'low',
});
const kept = [];

async function run() {
  for (let i = 0; i < 6000; i++) {
    const get = vm.runInThisContext('(client, command) => client.send(command)', { filename: `/srv/app/f${i}.js`, lineOffset: i });
    const answer = await get(client, new GetItemCommand({ TableName: `T-${i}`, Key: { id: { S: '1' } } }));
    if (i === 5999) kept.push(answer.Item);
  }
}

run().then(() => setImmediate(() => v8.writeHeapSnapshot(process.argv[3])));
