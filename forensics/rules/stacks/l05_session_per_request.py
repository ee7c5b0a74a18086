"""L05 by stacks: a session, or its configuration with the service models, is made anew for each request."""

from __future__ import annotations

import re

from forensics.findings import Remediation
from forensics.rules.by_handlers.patterns import PATTERNS
from forensics.rules.stacks.stack_rule import CONSUMPTION, StackRule

SESSION_PER_REQUEST = StackRule(
    "L05",
    "a session or configuration is made for each request",
    "session",
    "critical",
    re.compile(
        r"botocore/loaders\.py|__init__ \S*boto(?:core|3)/session\.py|aws-sdk-go-v2/config\.|"
        r"^aws_config::|aws_runtime::env_config"
    ),
    {
        **PATTERNS["L05"].remedies,
        "python": Remediation("Share one session.", "import boto3\n\nSESSION = boto3.session.Session()\n"),
    },
    CONSUMPTION,
    runtimes=("python", "go", "rust"),
)
