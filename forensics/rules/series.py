"""What a handful of points say: growing, plateau, sawtooth, shrinking, unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forensics.findings import GrowthShape

#: A fall of more than this share of the peak is a release, not noise.
RELEASE = 0.15
#: Growth of less than this share in the last interval, against the mean of the earlier ones, has stopped.
STOPPED = 0.05


def shape_of(values: Sequence[float]) -> GrowthShape:
    """The shape of a series of element counts or bytes, oldest first.

    Two points can only grow, shrink or stay; a plateau after growth and a sawtooth need three.
    """
    points = np.asarray(values, float)
    if len(points) < 2:
        return "unknown"
    steps = np.diff(points)
    peak = points.max()
    if peak <= 0:
        return "plateau"
    if len(points) > 2 and steps.min() < -RELEASE * peak and steps.max() > RELEASE * peak:
        return "sawtooth"
    total = points[-1] - points[0]
    if abs(total) <= 0.01 * peak and np.abs(steps).max() <= 0.02 * peak:
        return "plateau"
    if total < 0:
        return "shrinking"
    if len(points) > 2 and total > 0 and steps[-1] <= STOPPED * max(steps[:-1].max(), 0):
        return "plateau"
    if total > 0 and steps.min() >= -0.05 * peak:
        return "growing"
    return "sawtooth" if len(points) > 2 else "plateau"


def rate_of(values: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Units a second by least squares; None for fewer than two points in time."""
    if len(values) < 2 or len(values) != len(seconds) or seconds[-1] <= seconds[0]:
        return None
    return float(np.polyfit(np.asarray(seconds, float), np.asarray(values, float), 1)[0])
