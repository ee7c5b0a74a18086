'use strict';
// Where the orders are and how to reach them, from the environment.

module.exports = {
  region: process.env.AWS_REGION || 'eu-central-1',
  endpoint: process.env.DYNAMODB_ENDPOINT || undefined,
  ordersTable: process.env.ORDERS_TABLE || 'Orders',
  productsTable: process.env.PRODUCTS_TABLE || 'Products',
  port: Number(process.argv[2] || process.env.PORT || 3000),
};
