"""GrowthSeries: the memory of one process over time, as numpy arrays, and the rate at which it moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

#: One sample or a column of them.
Measured = TypeVar("Measured", float, np.ndarray)
#: Theil–Sen looks at every pair of points: beyond this many, neighbours are replaced by their median.
MOST_POINTS = 600
#: What a block of CPython's own allocator holds, bytes; between 16 and 512. Services that keep parsed responses have 70
#: to 120 in the mean. Too little here still tells a leak of small objects from memory that nobody uses.
BLOCK_BYTES = 64


@dataclass(frozen=True, eq=False)
class GrowthSeries:
    """Samples of a process.

    Attributes
    ----------
    times : float64[n], seconds, ascending
    resident : float64[n], bytes: the resident set
    live : float64[n] or None, bytes in use by the program: the allocators' counts or the live heap
    free : float64[n] or None, bytes the allocator holds and the program does not use
    requests : float64[n] or None, a counter of requests served
    limit : bytes, the memory limit of the process, None where there is none
    """

    times: np.ndarray
    resident: np.ndarray
    live: np.ndarray | None = None
    free: np.ndarray | None = None
    requests: np.ndarray | None = None
    limit: float | None = None

    def __len__(self) -> int:
        return len(self.times)

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return float(self.times[-1] - self.times[0]) if len(self.times) else 0.0

    @classmethod
    def from_process(
        cls, process: pd.DataFrame, *, measure: str = "rss", requests: str | None = None
    ) -> GrowthSeries:
        """Out of a capture's ``process`` table; rows without a time or the measure are left out.

        Parameters
        ----------
        process : columns time (seconds), rss …, and where known malloc_in_use, malloc_free, python_blocks,
            cgroup_limit
        measure : the column that is judged: rss, pss, uss or cgroup_usage
        requests : the column that counts requests, where there is one

        Raises
        ------
        ValueError : the table lacks ``time``, ``measure`` or ``requests``.
        """
        missing = {"time", measure, *([requests] if requests else [])} - set(process.columns)
        if missing:
            raise ValueError(f"The process table has no column {', '.join(sorted(missing))}.")
        rows = process.dropna(subset=["time", measure]).drop_duplicates("time").sort_values("time")
        return cls(
            times=rows["time"].to_numpy(float),
            resident=rows[measure].to_numpy(float),
            live=_live(rows),
            free=_column(rows, "malloc_free"),
            # A busy service leaves many of our questions unanswered; its counter moves evenly in between.
            requests=_column(rows, requests, known=0.5) if requests else None,
            limit=_limit(rows),
        )

    @classmethod
    def from_capture(cls, capture: Any, *, measure: str = "rss", requests: str | None = None) -> GrowthSeries:
        """Out of a capture: its process table, or the live heap of its snapshots where it has none.

        Raises
        ------
        ValueError : the capture has neither a process table nor snapshots.
        """
        if capture.process is not None and len(capture.process):
            return cls.from_process(capture.process, measure=measure, requests=requests)
        if not len(capture.snapshots):
            raise ValueError(
                "The capture has no process table and no snapshots: nothing was measured over time."
            )
        heap = np.array([float(graph.shallow_sizes[graph.reachable()].sum()) for graph in capture.snapshots])
        return cls(np.asarray(capture.times, float), heap, live=heap)


def _live(rows: pd.DataFrame) -> np.ndarray | None:
    """What malloc and the interpreter's own allocator have given out; None where either is not known."""
    in_use, blocks = _column(rows, "malloc_in_use"), _column(rows, "python_blocks")
    return None if in_use is None or blocks is None else live_bytes(in_use, blocks)


def live_bytes(malloc: Measured, blocks: Measured) -> Measured:
    """What a Python program uses, about: malloc's bytes, and the blocks of the interpreter's own allocator.

    Objects of up to 512 bytes lie in arenas that CPython maps past malloc: malloc alone stays flat while a service
    leaks dicts and strings.
    """
    return malloc + BLOCK_BYTES * blocks


def _column(rows: pd.DataFrame, name: str, known: float = 0.8) -> np.ndarray | None:
    """A column without gaps; None where less than the share ``known`` of it is."""
    if name not in rows or rows[name].notna().mean() < known:
        return None
    return rows[name].interpolate(limit_direction="both").to_numpy(float)


def _limit(rows: pd.DataFrame) -> float | None:
    if "cgroup_limit" not in rows or not rows["cgroup_limit"].notna().any():
        return None
    limit = float(rows["cgroup_limit"].dropna().iloc[-1])
    return limit if 0 < limit < 1 << 60 else None


@dataclass(frozen=True)
class Slope:
    """Units a second (or a request) with an interval of 95 %."""

    value: float
    low: float
    high: float

    @property
    def is_flat(self) -> bool:
        """Whether the interval holds zero."""
        return self.low <= 0 <= self.high


def slope_of(x: np.ndarray, y: np.ndarray) -> Slope:
    """The Theil–Sen slope of y over x, its interval widened for samples that resemble their neighbours.

    Sources: Sen, JASA 63 (1968), as in ``scipy.stats.theilslopes``; the effective sample size of a first-order
    autoregressive series is n (1 - r) / (1 + r).
    """
    from scipy.stats import theilslopes  # takes most of a second to import

    x, y = thinned(np.asarray(x, float), np.asarray(y, float), MOST_POINTS)
    if len(x) < 3 or x[-1] == x[0]:
        return Slope(0.0, -np.inf, np.inf)
    value, intercept, low, high = theilslopes(y, x, 0.95)
    rest = y - (intercept + value * x)
    rest = rest - rest.mean()
    power = float(rest @ rest)
    likeness = float(rest[1:] @ rest[:-1]) / power if power > 0 else 0.0
    likeness = min(max(likeness, 0.0), 0.95)
    wider = float(np.sqrt((1 + likeness) / (1 - likeness)))
    return Slope(float(value), float(value - (value - low) * wider), float(value + (high - value) * wider))


def thinned(x: np.ndarray, y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most ``most`` points: medians of runs of equal length; the arrays themselves where they are short."""
    if len(x) <= most:
        return x, y
    parts = np.array_split(np.arange(len(x)), most)
    return np.array([np.median(x[part]) for part in parts]), np.array([np.median(y[part]) for part in parts])


def noise_of(y: np.ndarray) -> float:
    """The standard deviation of the samples about their neighbours, robust against steps and rises."""
    if len(y) < 9:
        return 0.0
    # Second differences leave any straight rise out; their variance is six times that of a sample. Samples that
    # resemble their neighbours hide from them and show about a running median, where short teeth show as well:
    # so no more than three times as much is believed.
    bends = _spread(np.diff(y, 2)) / np.sqrt(6)
    windows = np.lib.stride_tricks.sliding_window_view(y, 9)
    return float(max(bends, min(3 * bends, _spread(y[4:-4] - np.median(windows, axis=1)))))


def _spread(values: np.ndarray) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))
