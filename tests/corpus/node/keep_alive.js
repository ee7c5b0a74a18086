// In front of the tests' DynamoDB: keeps connections open between calls, as the real one does and moto does not.
'use strict';
const http = require('node:http');

const behind = new URL(process.env.DYNAMODB_ENDPOINT);

const server = http.createServer((request, response) => {
  const { host, ...headers } = request.headers;
  const options = { host: behind.hostname, port: behind.port, method: request.method, path: request.url, headers };
  const call = http.request(options, (answer) => {
    const { connection, ...kept } = answer.headers;
    response.writeHead(answer.statusCode, kept);
    answer.pipe(response);
  });
  call.on('error', () => response.destroy());
  request.pipe(call);
});
server.keepAliveTimeout = 0; // never closes an idle connection
server.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}`));
process.on('disconnect', () => process.exit());
