'use strict';
// Every call to DynamoDB the service makes.

const { DynamoDBClient, QueryCommand, paginateScan } = require('@aws-sdk/client-dynamodb');
const { DynamoDBDocumentClient, GetCommand, QueryCommand: DocumentQuery } = require('@aws-sdk/lib-dynamodb');
const settings = require('./settings');

// One client for the process: it keeps its connections and may be shared by all requests.
const client = new DynamoDBClient({ region: settings.region, endpoint: settings.endpoint, maxAttempts: 3 });
const documents = DynamoDBDocumentClient.from(client);

/** The orders a customer placed from one day to another, newest first, as DynamoDB answers. */
function queryOrders(customerId, since, until, status, limit) {
  const question = {
    TableName: settings.ordersTable,
    KeyConditionExpression: 'customer_id = :customer AND order_id BETWEEN :since AND :until',
    ExpressionAttributeValues: { ':customer': { S: customerId }, ':since': { S: since }, ':until': { S: until } },
    ScanIndexForward: false,
    Limit: limit,
  };
  if (status) {
    question.FilterExpression = '#status = :status';
    question.ExpressionAttributeNames = { '#status': 'status' };
    question.ExpressionAttributeValues[':status'] = { S: status };
  }
  return client.send(new QueryCommand(question));
}

/** One order with everything in it, as JavaScript values. */
async function getOrder(customerId, orderId) {
  const key = { customer_id: customerId, order_id: orderId };
  const { Item } = await documents.send(new GetCommand({ TableName: settings.ordersTable, Key: key }));
  return Item;
}

/** The newest orders of a customer, three attributes of each. */
async function latestOrders(customerId, count) {
  const { Items } = await documents.send(new DocumentQuery({
    TableName: settings.ordersTable,
    KeyConditionExpression: 'customer_id = :customer',
    ExpressionAttributeValues: { ':customer': customerId },
    ProjectionExpression: 'order_id, #total, currency',
    ExpressionAttributeNames: { '#total': 'total' },
    ScanIndexForward: false,
    Limit: count,
  }));
  return Items;
}

/** Pages of totals of all orders that a warehouse ships; one page is in memory at a time. */
async function* scanTotals(warehouse) {
  const pages = paginateScan({ client, pageSize: 500 }, {
    TableName: settings.ordersTable,
    FilterExpression: 'contains(warehouses, :warehouse)',
    ProjectionExpression: '#total, currency',
    ExpressionAttributeNames: { '#total': 'total' },
    ExpressionAttributeValues: { ':warehouse': { N: String(warehouse) } },
  });
  for await (const page of pages) yield page.Items;
}

/** The whole catalogue: some dozen products that change once a season. */
async function loadProducts() {
  const products = [];
  for await (const page of paginateScan({ client }, { TableName: settings.productsTable })) products.push(...page.Items);
  return products;
}

module.exports = { queryOrders, getOrder, latestOrders, scanTotals, loadProducts };
