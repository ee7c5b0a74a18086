"""Orders: what customers bought, read from DynamoDB and served over HTTP."""
