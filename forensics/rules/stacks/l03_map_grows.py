"""L03 by stacks: the application itself called what makes a map larger."""

from __future__ import annotations

import re

from forensics.findings import Remediation
from forensics.rules.stacks.stack_rule import EXPOSED, StackRule

_PATTERN = re.compile(r"runtime\.(?:mapassign|growWork|hashGrow|makemap)|internal/runtime/maps\.|hashbrown::")

MAP_GROWS = StackRule(
    "L03",
    "a map grows without a bound",
    "items",
    "high",
    _PATTERN,
    {
        "go": Remediation(
            "Bound the map by number and age.", "cache, err := lru.New[string, Item](10_000)", "go"
        ),
        "rust": Remediation(
            "Bound the map by number and age.",
            "let cache = moka::sync::Cache::builder().max_capacity(10_000).build();",
            "rust",
        ),
    },
    EXPOSED,
    direct=True,
    runtimes=("go", "rust"),
)
