'use strict';
// The routes that customers and the help desk use.

const express = require('express');
const { BoundedCache } = require('./cache');
const db = require('./db');
const models = require('./models');

const router = express.Router({ mergeParams: true });

// The help desk's page asks for the same orders every few seconds while a call lasts: answer from here.
const summaries = new BoundedCache({ entries: 32, seconds: 30 });

/** The orders of a customer, newest first. */
router.get('/orders', async (request, response) => {
  const { since = '2020-01-01', until = '2030-01-01', status, limit = '20' } = request.query;
  const question = [request.params.customerId, since, until, status, limit].join('|');
  let found = summaries.get(question);
  if (found === undefined) {
    const answer = await db.queryOrders(request.params.customerId, since, until, status, Number(limit));
    found = answer.Items.map(models.orderSummary);
    summaries.put(question, found);
  }
  response.json(found);
});

/** One order with its lines. */
router.get('/orders/:orderId', async (request, response) => {
  const { customerId, orderId } = request.params;
  const item = await db.getOrder(customerId, orderId);
  if (item === undefined) return response.status(404).json({ error: `customer ${customerId} has no order ${orderId}` });
  response.json(models.order(item));
});

/** What a customer spent on the latest orders. */
router.get('/spending', async (request, response) => {
  const latest = await db.latestOrders(request.params.customerId, Number(request.query.orders ?? 10));
  const cents = latest.reduce((sum, item) => sum + Math.round(item.total * 100), 0);
  response.json({ customer_id: request.params.customerId, orders: latest.length, total: (cents / 100).toFixed(2) });
});

module.exports = router;
