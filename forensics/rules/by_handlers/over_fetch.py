"""L17 beside a handler's finding: most of what grew are large values that nobody projected away.

It is never a finding's rule by itself: what is projected becomes smaller, and goes on growing.
"""

from __future__ import annotations

import numpy as np

from forensics import units
from forensics.profiles.diff import ERRORS
from forensics.rules.by_handlers.series import Held, LargeValues

#: Large values of at least this share of what grew are most of it.
SHARE = 0.5


def mostly_large(group: Held) -> LargeValues | None:
    """The large values of a handler, where they make up most of what grew."""
    large = group.large_values()
    return large if large is not None and large.grown >= SHARE * max(group.grown(), 1.0) else None


def said_of(group: Held, large: LargeValues) -> str:
    """How many there are and how large, how sure that is, and what to do."""
    error = ERRORS * float(np.sqrt(group.period * large.bytes)) / large.bytes
    sure = f"sampled, within {error:.0%}" if group.period else "counted"
    least = "" if large.counted else "; as large at least, by the weights of jemalloc's samples"
    return (
        f"also L17: {large.number:,.0f} values of about {units.size(large.bytes / large.number)} make up "
        f"{min(1.0, large.grown / group.grown()):.0%} of what grew ({sure}{least}): "
        "project the attributes that are used"
    )
