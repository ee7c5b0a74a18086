"""Statics of a Rust program whose containers grow over a capture; see ``forensics.capture.statics``.

They are evidence beside a finding and none by themselves: a bounded cache that is not full yet grows, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: A container must have become larger by so many elements, and in the later half of the capture by this share of it.
LEAST = 4
STILL_GROWING = 0.25


@dataclass(frozen=True)
class GrowingStatic:
    """A static and the number of elements of its container in each profile."""

    name: str
    container: str
    elements: tuple[int, ...]
    proved: bool

    def __str__(self) -> str:
        series = " → ".join(f"{each:,}" for each in self.elements)
        sure = "proved by its control bytes" if self.proved else "likely, its words fit a container"
        return f"{self.name}, a {self.container} of {series} elements ({sure})"


def growing_statics(entries: Sequence[Mapping[str, Any]]) -> list[GrowingStatic]:
    """Out of a manifest's ``allocations``: what grew steadily until the end; proved ones first, then the fastest."""
    if len(entries) < 3:
        return []
    series: dict[tuple[str, str, bool], list[int]] = {}
    for entry in entries:
        # of several tables behind one static the sum: shards of one map
        counts: dict[tuple[str, str, bool], int] = {}
        for each in entry.get("statics", ()):
            key = str(each["static"]), str(each["container"]), bool(each["proved"])
            counts[key] = counts.get(key, 0) + int(each["elements"])
        for key, count in counts.items():
            series.setdefault(key, []).append(count)
    found = [
        GrowingStatic(name, container, tuple(counts), proved)
        for (name, container, proved), counts in series.items()
        if len(counts) >= min(3, len(entries)) and _grows(counts)
    ]
    return sorted(found, key=lambda each: (not each.proved, each.elements[0] - each.elements[-1]))


def _grows(counts: Sequence[int]) -> bool:
    grown = counts[-1] - counts[0]
    later = counts[-1] - counts[len(counts) // 2]
    steady = all(after >= before for before, after in itertools.pairwise(counts))
    return steady and grown >= LEAST and later >= STILL_GROWING * grown
