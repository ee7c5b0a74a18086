"""L01 by stacks: DynamoDB's own data stays, and neither a paginator nor a map is on the stack."""

from __future__ import annotations

from forensics.findings import Remediation
from forensics.rules.stacks.stack_rule import EXPOSED, StackRule

WHOLE_RESPONSE = StackRule(
    "L01",
    "whole responses are retained",
    "response",
    "high",
    None,
    {
        "python": Remediation(
            "Keep the fields that are needed, drop the response.",
            'totals[order_id] = response["Item"]["total"]["N"]\n',
        ),
        "go": Remediation(
            "Keep the fields that are needed, drop the output.", "ids = append(ids, out.ID)", "go"
        ),
        "rust": Remediation(
            "Keep the fields that are needed, drop the output.", "ids.push(order_id(&output)?);", "rust"
        ),
        "node": Remediation(
            "Keep the fields that are needed, drop the response.", "totals.set(id, Item.total);", "javascript"
        ),
    },
    EXPOSED,
)
