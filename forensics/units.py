"""Bytes, seconds and counts as a person reads them; the same words in plots, reports and widgets."""

from __future__ import annotations

import math

MIB = 1024 * 1024


def mib(n_bytes: float) -> float:
    """Bytes to MiB, for an axis."""
    return float(n_bytes) / MIB


def size(n_bytes: float | None) -> str:
    """``812 bytes``, ``12.4 KiB``, ``3.20 MiB``, ``1.25 GiB``."""
    if n_bytes is None or math.isnan(n_bytes):
        return "unknown"
    value = abs(float(n_bytes))
    sign = "−" if n_bytes < 0 and value >= 0.5 else ""
    if value < 1024:
        return f"{sign}{value:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024 or unit == "GiB":
            break
    return f"{sign}{value:.3g} {unit}" if value < 999.5 else f"{sign}{value:,.0f} {unit}"


def count(number: float, noun: str, plural: str | None = None) -> str:
    """``1 object``, ``2,918 objects``."""
    word = noun if abs(number) == 1 else plural or f"{noun}s"
    return f"{number:,.0f} {word}"


def in_elements(number: int | None) -> str:
    """`` in 3 elements``; nothing where it is not known how many, as of profiles that count bytes alone."""
    return "" if number is None else f" in {count(number, 'element')}"


def duration(seconds: float | None) -> str:
    """``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 days``."""
    if seconds is None or math.isnan(seconds):
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24:,} days"


def pause(seconds: float) -> str:
    """``3.2 ms``, ``1.4 s``: for how long a service answered nobody."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else duration(seconds)


def rate(bytes_per_second: float | None) -> str:
    """``3.2 MiB a minute``; a minute is what a person can watch."""
    return "unknown" if bytes_per_second is None else f"{size(bytes_per_second * 60)} a minute"


def percent(share: float) -> str:
    """``0.4 %``, ``12 %``."""
    return f"{share:.1%}".replace("%", " %") if share < 0.0995 else f"{share:.0%}".replace("%", " %")


def plain_label(room: str) -> str:
    """The name of a room of the program in a legend."""
    return {"root": "root", "sdk": "AWS SDK", "dynamodb": "DynamoDB data"}.get(room, room)
