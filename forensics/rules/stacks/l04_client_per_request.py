"""L04 by stacks: what makes a client is on the stack of memory that stays."""

from __future__ import annotations

import re

from forensics.findings import Remediation
from forensics.rules.by_handlers.patterns import PATTERNS
from forensics.rules.stacks.stack_rule import CONSUMPTION, StackRule

CLIENT_PER_REQUEST = StackRule(
    "L04",
    "a client is made for each request",
    "client",
    "high",
    re.compile(
        # what makes a client, and not the client.py, factory.py and handlers that every call passes
        r"create_client \S*botocore/client\.py|botocore/args\.py|"
        r"(?:load_from_definition|_load_\w+) \S*boto3/resources/factory\.py|service/dynamodb\.New(?:FromConfig)?\b|"
        r"aws_sdk_dynamodb::client::Client::(?:new|from_conf)|aws_sdk_dynamodb::config::(?:Builder|Config)|"
        r"^(?:new )?(?:DynamoDBClient|DynamoDBDocumentClient|NodeHttpHandler) "
    ),
    {
        **PATTERNS["L04"].remedies,
        "python": Remediation("Make one client.", 'import boto3\n\nCLIENT = boto3.client("dynamodb")\n'),
        "node": Remediation(
            "Make one client outside the handler.", "const client = new DynamoDBClient({});", "javascript"
        ),
    },
    CONSUMPTION,
)
