"""L01 by stacks: DynamoDB's own data stays, and neither a paginator nor a map is on the stack."""

from __future__ import annotations

from forensics.findings import Remediation
from forensics.rules.by_handlers.patterns import PATTERNS
from forensics.rules.stacks.stack_rule import EXPOSED, StackRule

WHOLE_RESPONSE = StackRule(
    "L01",
    "whole responses are retained",
    "response",
    "high",
    None,
    {
        **PATTERNS["L01"].remedies,
        "python": Remediation(
            "Keep the fields that are needed, drop the response.",
            'totals[order_id] = response["Item"]["total"]["N"]\n',
        ),
        "node": Remediation(
            "Keep the fields that are needed, drop the response.", "totals.set(id, Item.total);", "javascript"
        ),
    },
    EXPOSED,
)
