"""Memory forensics for services that use DynamoDB."""

__version__ = "0.1.0"
