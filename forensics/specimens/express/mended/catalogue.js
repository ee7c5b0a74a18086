'use strict';
// The products, read once at start: a table that stays, of a size that is known.

const db = require('./db');

const titles = new Map(); // SKU to title; filled at start and never again

async function load() {
  for (const product of await db.loadProducts()) titles.set(product.sku.S, product.title.S);
}

module.exports = { load, size: () => titles.size, titleOf: (sku) => titles.get(sku) ?? sku };
