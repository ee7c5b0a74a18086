"""When to take what: at even distances, when a trigger says so, and watching afterwards; for every runtime alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Protocol

from forensics.capture.counters import Watching

#: progress(stage, done, total): total 0 where it is not known before.
Progress = Callable[[str, float, float], None]
#: Seconds between two looks at the counters, and between two words about how far the waiting is.
_LOOK_EVERY = 0.5
_SAY_EVERY = 0.2


def no_progress(stage: str, done: float, total: float) -> None:
    """The default: say nothing."""


class Decision(Protocol):
    """What a trigger says of one sample."""

    @property
    def take(self) -> bool:
        """Whether to take a snapshot now."""

    @property
    def reason(self) -> str:
        """Why, in words for the manifest."""

    @property
    def finished(self) -> bool:
        """Whether there will be no other."""


class Trigger(Protocol):
    """Decides by the process's counters when to take a snapshot; see ``forensics.growth.triggers.Watch``."""

    def feed(self, sample: Mapping[str, float | None]) -> Decision:
        """Judge one row of the process table."""

    def took(self, size: int) -> None:
        """Note that a snapshot was taken, and its bytes on disk."""


class Pace:
    """The clock of one capture; it starts when this is made. All times in seconds since then.

    Parameters
    ----------
    progress : is told how far each waiting is
    """

    def __init__(self, progress: Progress = no_progress) -> None:
        self.began = time.monotonic()
        self._taken: float | None = None  # when the last one was taken
        self._progress = progress

    def left(self, moment: float) -> float:
        """Seconds until ``moment``; below 0 where it has gone by."""
        return self.began + moment - time.monotonic()

    def until(self, moment: float, stage: str = "waiting") -> None:
        """Return once ``moment`` has come; at once where it has gone by."""
        while (left := self.left(moment)) > 0:
            self._progress(stage, moment - left, moment)
            time.sleep(min(left, _SAY_EVERY))

    def taken(self) -> None:
        """Say that what ``evenly`` called for is taken: for a caller that does more before it asks for the next."""
        self._taken = time.monotonic() - self.began

    def evenly(self, count: int, every: float) -> Iterator[int]:
        """0, 1 … ``count`` - 1, the first at once, each further one ``every`` seconds after the last one was taken.

        That is when the caller says ``taken()``, or else asks for the next. The distance is counted from the end and
        not from a clock of its own: snapshots that take longer than ``every`` would else follow each other at once,
        and what grows by what is served in between would seem to stand still.
        """
        for number in range(count):
            if self._taken is not None:
                self.until(self._taken + every)
            self._taken = None
            yield number
            if self._taken is None:
                self.taken()

    def when_triggered(self, trigger: Trigger, watching: Watching, seconds: float) -> Iterator[str]:
        """The reason, each time that ``trigger`` asks for a snapshot; until it is finished or ``seconds`` are over.

        The caller takes it before it asks for the next, and tells ``trigger.took`` its size.
        """
        seen = 0
        while (now := time.monotonic() - self.began) < seconds:
            samples = watching.series().samples
            for sample in samples[seen:]:
                decision = trigger.feed(asdict(sample))
                if decision.take:
                    yield decision.reason
                if decision.finished:
                    return
            seen = len(samples)
            self.until(min(now + _LOOK_EVERY, seconds), "watching")
