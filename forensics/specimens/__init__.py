"""Services that leak on purpose and their mended twins; the DynamoDB, the orders and the load they need."""
