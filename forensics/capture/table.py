"""Sizes and times as the results of this room say them."""

from __future__ import annotations

from forensics.tables import html_table, text_table
from forensics.units import size

__all__ = ["duration", "html_table", "size", "text_table"]


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 12 ms, 3.4 s, 5 min, 2.5 h, 12 d."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            value = seconds / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{seconds:.1f} s"
