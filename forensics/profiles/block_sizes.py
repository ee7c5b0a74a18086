"""How large the blocks of a stack are at least, out of a profile of jemalloc's that has bytes and no counts.

A sample of a block of ``size`` bytes stands for size / (1 - exp(-size / period)) bytes: a period and about half of the
block for a small one. So bytes bound the number of samples from above, and the mean size from below. Where all blocks
are of one size class, what jemalloc writes for a few of them can be told to the byte; several figures that agree
with one class prove it.

Sources: ``prof_do_unbias`` and ``sc.c`` of jemalloc 5.3; ``parse_jeheap`` of pprof_util, which undoes the former.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, floor

import numpy as np

#: Each stack's figure is cut to whole bytes, and stacks that look alike are added up.
_BYTES, _SHARE = 3.0, 1e-5
#: Of more samples the number that jemalloc writes is rounded by more than it tells.
_FEW = 32
#: Classes of 16 bytes to 16 MiB are tried; there are four to each doubling.
_CLASSES = range(4, 24)


def least_mean(levels: np.ndarray, period: int) -> float:
    """The mean size of the blocks of one site that are live last, in bytes; or less. 0 where unknown.

    It is more by a percent or two at most, by which jemalloc rounds.

    Parameters
    ----------
    levels : float64[stacks, profiles], live bytes of each stack of the site, unsampled
    period : mean bytes between two samples
    """
    if period <= 0 or not levels.size:
        return 0.0
    return max(_of_any(levels[:, -1], period), _of_one_class(levels, period))


def unsampled(size: int, count: int, period: int) -> tuple[float, float]:
    """The bytes that jemalloc_pprof writes for so many samples of one size: with jemalloc's own correction, without."""
    plain = count * size / _taken(size, period)
    # jemalloc counts in eighths, and writes what its reader's formula turns into the sum that it wants
    blocks, total = count * round(8 / _taken(size, period)) / 8, count * round(size / _taken(size, period))
    mean = total / blocks
    written = total * _taken(mean, period)
    number, written = max(1, round(written / mean)), round(written)
    return floor(written / _taken(written / number, period)), floor(plain)


def _of_any(last: np.ndarray, period: int) -> float:
    """Of a mixture: no sample stands for less than a period."""
    samples = np.floor(last / period)
    if samples.sum() < 1:
        return 0.0
    weight = float(last.sum() / samples.sum())
    low, high = 1e-3, weight
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle / _taken(middle, period) < weight else (low, middle)
    return low


def _of_one_class(levels: np.ndarray, period: int) -> float:
    """The smallest size class that all figures of few samples agree with; one figure may do so by chance."""
    figures = np.unique(levels[(levels > 0) & (levels < _FEW * period)])
    if len(figures) < 2:
        return 0.0
    return next(
        (float(size) for size in _classes() if all(_agrees(each, size, period) for each in figures)), 0.0
    )


def _agrees(figure: float, size: int, period: int) -> bool:
    guess = figure * _taken(size, period) / size
    counts = {max(1, floor(guess) + step) for step in (-1, 0, 1, 2)}
    near = _BYTES + _SHARE * figure
    return any(abs(each - figure) <= near for count in counts for each in unsampled(size, count, period))


def _classes() -> Iterator[int]:
    for exponent in _CLASSES:
        yield from ((1 << exponent) + quarter * (1 << exponent) // 4 for quarter in range(4))


def _taken(size: float, period: int) -> float:
    """The chance that a block of this size is sampled."""
    return 1.0 - exp(-size / period)
