'use strict';
// The routes that bookkeeping uses.

const express = require('express');
const db = require('./db');

const router = express.Router();

/** What a warehouse shipped, counted page by page. */
router.get('/revenue/:warehouse', async (request, response) => {
  let orders = 0;
  let cents = 0;
  for await (const page of db.scanTotals(request.params.warehouse)) {
    orders += page.length;
    for (const item of page) cents += Math.round(Number(item.total.N) * 100);
  }
  response.json({ warehouse: Number(request.params.warehouse), orders, total: (cents / 100).toFixed(2) });
});

module.exports = router;
