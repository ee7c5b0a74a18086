'use strict';
// What the service answers.

const catalogue = require('./catalogue');

/** From an item of the low-level client. */
function orderSummary(item) {
  return {
    order_id: item.order_id.S,
    status: item.status.S,
    placed_at: item.placed_at.S,
    total: item.total.N,
    currency: item.currency.S,
    lines: item.lines.L.length,
  };
}

/** From an item of the document client. */
function order(item) {
  return {
    order_id: item.order_id,
    status: item.status,
    total: String(item.total),
    currency: item.currency,
    city: item.shipping.city,
    lines: item.lines.map((line) => ({
      sku: line.sku,
      title: catalogue.titleOf(line.sku),
      quantity: line.quantity,
      unit_price: String(line.unit_price),
    })),
  };
}

module.exports = { orderSummary, order };
