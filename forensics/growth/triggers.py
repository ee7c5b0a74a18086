"""``--when 'rss > 80%'``, ``--when 'growth > 1MB/min for 5m'``: when to take a snapshot, and when no more.

Grammar::

    condition = metric ("<" | "<=" | ">" | ">=") number [unit] ["/" time] ["for" number time]
    metric    = rss | pss | uss | cgroup | heap | free | growth | threads | descriptors | sockets
    unit      = B kB MB GB (powers of 1000) | KiB MiB GiB (powers of 1024) | %
    time      = s | min (or m) | h

A percentage is of the memory limit. ``heap`` is what malloc and the interpreter's own allocator have given out (see
``forensics.growth.series.live_bytes``), ``free`` what malloc holds and nobody uses. ``growth`` is the Theil–Sen slope
of the resident set over the time after ``for``, one minute without it; any other condition must hold at every sample
of that time.
"""

from __future__ import annotations

import math
import operator
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from forensics.errors import ForensicsError
from forensics.growth.series import live_bytes, slope_of

_METRICS = {
    "rss": "rss",
    "pss": "pss",
    "uss": "uss",
    "cgroup": "cgroup_usage",
    "heap": "malloc_in_use",  # and python_blocks, see Condition.value
    "free": "malloc_free",
    "growth": "rss",
    "threads": "threads",
    "descriptors": "descriptors",
    "sockets": "sockets_established",
}
_COUNTS = frozenset(("threads", "descriptors", "sockets"))
#: Told by the agent inside a Python process alone.
OF_PYTHON = frozenset(("heap", "free"))
_UNITS = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_TIMES = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_CONDITION = re.compile(
    r"\s*(?P<metric>[a-z]+)\s*(?P<compare>[<>]=?)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|[a-z]+)?"
    r"\s*(?:/\s*(?P<per>[a-z]+))?(?:\s+for\s+(?P<long>\d+(?:\.\d+)?)\s*(?P<time>[a-z]+))?\s*",
    re.IGNORECASE,
)
_EXAMPLES = "Write it like 'rss > 80%', 'rss > 1.5GB', 'growth > 1MB/min for 5m' or 'threads > 200 for 30s'."

#: Over how long growth is measured where no ``for`` says it, and the fewest samples that give a slope.
GROWTH_SECONDS = 60.0
GROWTH_SAMPLES = 5


class TriggerError(ForensicsError):
    """A condition that cannot be read; ``data`` holds ``text``."""


@dataclass(frozen=True)
class Condition:
    """One parsed condition.

    ``threshold`` is in bytes, a count, bytes a second for growth, or a share of the limit where ``of_limit``.
    """

    text: str
    metric: str
    compare: Literal["<", "<=", ">", ">="]
    threshold: float
    of_limit: bool = False
    seconds: float = 0.0

    def value(self, sample: Mapping[str, float | None]) -> float | None:
        """What it compares, out of one row of the process table; None where the row does not have it."""
        value = _number(sample, _METRICS[self.metric])
        if self.metric == "heap" and value is not None:
            return live_bytes(value, _number(sample, "python_blocks") or 0.0)
        return value

    def holds(self, samples: Sequence[Mapping[str, float | None]], limit: float | None) -> bool:
        """Whether it holds at the last of these samples, the earlier ones given for ``for``.

        A sample without the metric, or a percentage without a known limit, holds nothing.
        """
        if not samples or (self.of_limit and not limit):
            return False
        bound = self.threshold * (limit or 0.0) if self.of_limit else self.threshold
        now = _number(samples[-1], "time")
        if now is None:
            return False
        span = self.seconds or (GROWTH_SECONDS if self.metric == "growth" else 0.0)
        rows = [
            (moment, value)
            for sample in samples
            if (moment := _number(sample, "time")) is not None
            and (value := self.value(sample)) is not None
            and moment >= now - span
        ]
        first = _number(samples[0], "time")
        if not rows or first is None or (span and now - first < 0.98 * span):
            return False  # not watched for long enough
        compare = _COMPARE[self.compare]
        if self.metric == "growth":
            if len(rows) < GROWTH_SAMPLES:
                return False
            table = np.array(rows)
            return bool(compare(slope_of(table[:, 0] - table[0, 0], table[:, 1]).value, bound))
        return all(compare(value, bound) for _, value in rows)


def parse(text: str) -> Condition:
    """Read a condition; raises TriggerError saying what is wrong with it."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise TriggerError(f"The condition {text!r} cannot be read.", advice=_EXAMPLES, text=text)
    metric, unit, per = match["metric"].lower(), (match["unit"] or "").lower(), (match["per"] or "").lower()
    if metric not in _METRICS:
        raise TriggerError(
            f"The condition {text!r} asks for {metric!r}, which is not measured.",
            advice=f"Measured are {', '.join(_METRICS)}.",
            text=text,
        )
    wrong = _wrong_unit(metric, unit, per)
    if wrong:
        raise TriggerError(f"The condition {text!r} {wrong}.", advice=_EXAMPLES, text=text)
    seconds = 0.0
    if match["time"]:
        if match["time"].lower() not in _TIMES:
            raise TriggerError(
                f"The condition {text!r} names no time after 'for'.", advice=_EXAMPLES, text=text
            )
        seconds = float(match["long"]) * _TIMES[match["time"].lower()]
    size = 0.01 if unit == "%" else float(_UNITS.get(unit, 1))
    threshold = float(match["number"]) * size / _TIMES.get(per, 1.0)
    compare: Literal["<", "<=", ">", ">="] = match["compare"]  # type: ignore[assignment]
    return Condition(text.strip(), metric, compare, threshold, unit == "%", seconds)


def _wrong_unit(metric: str, unit: str, per: str) -> str | None:
    if unit and unit != "%" and unit not in _UNITS:
        return f"has the unit {unit!r}, which is none"
    if per and per not in _TIMES:
        return f"has the time {per!r}, which is none"
    if (metric == "growth") != bool(per):
        return "needs a rate, such as 1MB/min" if metric == "growth" else f"has a rate, and {metric} is none"
    if metric in _COUNTS and unit:
        return f"has a unit, and {metric} is a count"
    return None


@dataclass(frozen=True)
class Bounds:
    """When to stop taking snapshots: their number (the baseline counts), their bytes, and the pause between two.

    The pause is from one that a condition asked for to the next: what happens right after the baseline is not missed.
    """

    snapshots: int = 5
    disk_bytes: int = 2 << 30
    seconds_between: float = 60.0


@dataclass(frozen=True)
class Decision:
    """Whether to take a snapshot now, and why, or why not although a condition holds."""

    take: bool
    reason: str = ""
    finished: bool = False


@dataclass
class Watch:
    """Decides sample by sample. Feed it samples, tell it what a snapshot took.

    The first sample takes the baseline. A condition then fires when it begins to hold, and again only after it
    ceased to hold in between: memory that stays above 80 % is one event. One that begins to hold within
    ``seconds_between`` of the last event fires once these are over, if it still holds.
    """

    conditions: Sequence[Condition]
    bounds: Bounds = field(default_factory=Bounds)
    limit: float | None = None
    taken: int = 0
    taken_bytes: int = 0
    _begun: bool = False
    _last: float = float("-inf")
    _largest: int = 0
    _held: set[str] = field(default_factory=set)
    _samples: deque[Mapping[str, float | None]] = field(default_factory=deque)

    def feed(self, sample: Mapping[str, float | None]) -> Decision:
        """Judge one sample (a row of the process table); remember with ``took`` when a snapshot was taken."""
        moment = _number(sample, "time")
        if moment is None:
            return Decision(False)
        self._remember(sample, moment)
        limit = self.limit or _number(sample, "cgroup_limit")
        holding = {each.text for each in self.conditions if each.holds(self._samples, limit)}
        begun = [each.text for each in self.conditions if each.text in holding - self._held]
        if not self._begun:
            self._begun, self._held = True, holding
            return Decision(True, "baseline at the start")
        if not begun:
            self._held &= holding
            return Decision(False, finished=self._exhausted() is not None)
        decision = self._allowed(moment, " and ".join(begun))
        # One that comes too soon after the last snapshot stays pending: it fires once the pause is over.
        self._held = (self._held & holding) | (set(begun) if decision.take or decision.finished else set())
        return decision

    def took(self, size: int) -> None:
        """Note that the snapshot was taken and how many bytes it has on disk."""
        self.taken += 1
        self.taken_bytes += size
        self._largest = max(self._largest, size)

    def _allowed(self, moment: float, reason: str) -> Decision:
        if ended := self._exhausted():
            return Decision(False, ended, finished=True)
        left = self._last + self.bounds.seconds_between - moment
        if left > 0:
            return Decision(False, f"{reason}, but the last snapshot was taken too short a time ago")
        self._last = moment
        return Decision(True, reason)

    def _exhausted(self) -> str | None:
        if self.taken >= self.bounds.snapshots:
            return f"{self.taken} snapshots were taken, as many as allowed"
        if self.taken_bytes + self._largest > self.bounds.disk_bytes:
            return f"{self.taken_bytes} bytes were written, and another snapshot might exceed the bound"
        return None

    def _remember(self, sample: Mapping[str, float | None], moment: float) -> None:
        self._samples.append(sample)
        longest = max((each.seconds for each in self.conditions), default=0.0)
        keep = 1.1 * max(longest, GROWTH_SECONDS)
        # The one before the window stays: it proves that the window was watched from its beginning.
        while len(self._samples) > 2 and (_number(self._samples[1], "time") or moment) < moment - keep:
            self._samples.popleft()


def _number(sample: Mapping[str, float | None], name: str) -> float | None:
    value = sample.get(name)
    return None if value is None or math.isnan(value) else float(value)
