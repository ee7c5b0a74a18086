"""L16 by stacks: what a retry loop allocated itself stays: no bound on attempts or on time."""

from __future__ import annotations

import re

from forensics.findings import References
from forensics.rules.by_handlers.patterns import PATTERNS
from forensics.rules.stacks.stack_rule import StackRule

_PATTERN = re.compile(r"aws-sdk-go-v2/aws/retry\.|aws_smithy_runtime::client::retries")

RETRIES = StackRule(
    "L16",
    "retries keep what they failed with",
    "response",
    "medium",
    _PATTERN,
    PATTERNS["L16"].remedies,
    References(("API4:2023", "API8:2023"), ("CWE-770",)),
    innermost=True,
    runtimes=("go", "rust"),
)
