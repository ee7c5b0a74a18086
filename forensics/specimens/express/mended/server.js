'use strict';
// The application: `node server.js`.

const express = require('express');
const api = require('./api');
const catalogue = require('./catalogue');
const reports = require('./reports');
const settings = require('./settings');

const app = express();
app.get('/health', (request, response) => response.json({ products: catalogue.size() }));
app.use('/customers/:customerId', api);
app.use('/reports', reports);
app.use((error, request, response, next) => {
  response.status(500).json({ error: error.message });
});

catalogue.load().then(() => app.listen(settings.port, '127.0.0.1'));
