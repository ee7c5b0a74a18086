"""The shape of a short series of counts: what a holder did from snapshot to snapshot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forensics.findings import GrowthShape

#: Changes below this part of the largest value are noise.
_NOISE = 0.02
#: A fall of this part of the range is a clearing out, not noise.
_FALL = 0.3
#: A last rise below this part of the first says that the growth has come to an end.
_SETTLED = 0.1
#: How sure a shape can be by the number of snapshots it rests on.
SURENESS = {1: 0.0, 2: 0.5, 3: 0.75, 4: 0.85, 5: 0.9, 6: 0.93, 7: 0.95}


def shape_of(values: Sequence[int]) -> tuple[GrowthShape, float]:
    """(growing, plateau, sawtooth, shrinking or unknown; confidence 0…1) of two or more counts."""
    sure = SURENESS.get(len(values), 0.97)
    if len(values) < 2:
        return "unknown", 0.0
    counts = np.asarray(values, np.float64)
    steps = np.diff(counts)
    span, largest = counts.max() - counts.min(), counts.max()
    if span <= _NOISE * largest or span <= 1:
        return "plateau", sure
    falls = -steps[steps < 0]
    if not len(falls):
        if len(steps) > 1 and steps[-1] <= _SETTLED * steps[:-1].max():
            return "plateau", sure * 0.8
        return "growing", sure
    if (steps <= 0).all():
        return "shrinking", sure
    if falls.max() < _FALL * span and counts[-1] > counts[0] + span / 2:
        return "growing", sure * 0.8
    if falls.max() >= _FALL * span:
        return "sawtooth", sure if len(values) > 3 else sure * 0.7
    return "shrinking" if counts[-1] < counts[0] else "plateau", sure * 0.6


def slope(values: Sequence[float], times: Sequence[float] | None) -> float | None:
    """Change for each second by least squares; None without two different times."""
    if times is None or len(values) < 2 or len(set(times)) < 2:
        return None
    seconds = np.asarray(times, np.float64) - times[0]
    return float(np.polyfit(seconds, np.asarray(values, np.float64), 1)[0])
