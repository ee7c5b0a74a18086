"""L03 by stacks: the application itself called what makes a map larger."""

from __future__ import annotations

import re

from forensics.rules.by_handlers.patterns import PATTERNS
from forensics.rules.stacks.stack_rule import EXPOSED, StackRule

_PATTERN = re.compile(r"runtime\.(?:mapassign|growWork|hashGrow|makemap)|internal/runtime/maps\.|hashbrown::")

MAP_GROWS = StackRule(
    "L03",
    "a map grows without a bound",
    "items",
    "high",
    _PATTERN,
    PATTERNS["L03"].remedies,
    EXPOSED,
    direct=True,
    runtimes=("go", "rust"),
)
