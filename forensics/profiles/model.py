"""AllocationProfile: what was allocated where, one model for memray, pprof, jemalloc, dhat and V8's sampler.

A profile is a table of rows, one for each (stack, thread, allocator); a row has bytes and a count for every
measure the profiler knows. Stacks are compressed sparse rows over a table of frames, innermost frame first.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from forensics import units

if TYPE_CHECKING:
    import pandas as pd

MeasureName = Literal["live", "peak", "temporary", "allocated"]

#: What each measure counts, in the order in which one is chosen when none is named.
MEASURES: dict[str, str] = {
    "live": "allocated and not freed when the profile ended",
    "peak": "live at the moment of the highest total",
    "allocated": "all that was allocated while the profile ran, freed or not",
    "temporary": "freed again before the next allocation of the same thread",
}

NO_THREAD = -1


class Frame(NamedTuple):
    """One frame of a stack; ``line`` is 0 where it is unknown."""

    function: str
    file: str
    line: int


@dataclass(frozen=True, eq=False)
class Measure:
    """One measure of every row: ``bytes`` int64[rows] and ``counts`` int64[rows], None where not recorded."""

    bytes: np.ndarray
    counts: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FrameTable:
    """The distinct frames of a profile: ``function``, ``file`` (arrow strings) and ``line`` (int32[n])."""

    function: pa.Array
    file: pa.Array
    line: np.ndarray

    def __len__(self) -> int:
        return len(self.line)

    def __getitem__(self, index: int) -> Frame:
        return Frame(self.function[index].as_py(), self.file[index].as_py(), int(self.line[index]))


@dataclass(frozen=True)
class Origin:
    """Where a profile comes from and how far it can be trusted.

    Attributes
    ----------
    tool : memray, pprof, jemalloc, dhat or v8
    runtime : python, go, rust, node or native
    file : name of the file, without its folder
    start, end : seconds since the epoch, None where the file does not say
    sampling_period : mean bytes between two samples, None where every allocation was recorded
    complete : False where the file is still being written or its process was killed
    stacks_are : "allocations", or "references" for heap walkers that write pprof (grf)
    facts : whatever else the tool noted (command line, pid, version)
    notes : what a reader must know before trusting the figures
    """

    tool: str
    runtime: str
    file: str = ""
    start: float | None = None
    end: float | None = None
    sampling_period: int | None = None
    complete: bool = True
    stacks_are: Literal["allocations", "references"] = "allocations"
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long the profile ran, None where unknown."""
        if self.start is None or self.end is None or self.end <= self.start:
            return None
        return self.end - self.start


@dataclass(frozen=True, eq=False)
class Timeline:
    """What was live over time.

    Attributes
    ----------
    times : float64[k], seconds since the epoch, one for each of the profiler's own memory samples
    resident, heap : int64[k], bytes
    intervals : arrow table (stack, thread, first, last, count, bytes) or None where the file holds no history;
        an interval is live in samples ``first`` … ``last - 1``, ``last`` is -1 where it was never freed
    """

    times: np.ndarray
    resident: np.ndarray
    heap: np.ndarray
    intervals: pa.Table | None = None

    def live_bytes(self) -> np.ndarray:
        """Bytes live at each sample by the intervals, int64[k]; raises ValueError without intervals."""
        if self.intervals is None:
            raise ValueError("This profile holds no history of single allocations.")
        return _live(self.intervals, len(self.times), np.zeros(self.intervals.num_rows, np.int64), 1)[0]

    def live_bytes_of(self, stacks: Sequence[int]) -> np.ndarray:
        """Bytes live at each sample for each of the stacks, int64[len(stacks), k]."""
        if self.intervals is None:
            raise ValueError("This profile holds no history of single allocations.")
        wanted = np.asarray(stacks, np.int64)
        rank = {int(stack): position for position, stack in enumerate(wanted)}
        of = np.array([rank.get(stack, -1) for stack in self.intervals["stack"].to_pylist()], np.int64)
        return _live(self.intervals.filter(pa.array(of >= 0)), len(self.times), of[of >= 0], len(wanted))


def _live(intervals: pa.Table, samples: int, group: np.ndarray, groups: int) -> np.ndarray:
    first = intervals["first"].to_numpy()
    last = intervals["last"].to_numpy()
    size = intervals["bytes"].to_numpy()
    steps = np.zeros((groups, samples + 1), np.int64)
    np.add.at(steps, (group, np.minimum(first, samples)), size)
    freed = last >= 0
    np.add.at(steps, (group[freed], np.minimum(last[freed], samples)), -size[freed])
    return steps.cumsum(axis=1)[:, :samples]


@dataclass(frozen=True, eq=False)
class AllocationProfile:
    """Stacks × (bytes, count) × live / peak / temporary / allocated; arrays may be read-only views.

    Attributes
    ----------
    frames : the distinct frames
    stack_offsets, stack_frames : int64[stacks + 1], int32[m]; frames of stack *s* innermost first
    stacks, threads, allocators : int32[rows]; thread ``NO_THREAD`` where threads are merged or unknown,
        allocator -1 where unknown
    thread_names, allocator_names : what the numbers mean
    measures : by name (see ``MEASURES``); bytes are bytes and counts are objects, already unsampled
    origin : which tool, when, how exact
    timeline : live memory over time, where the tool recorded it
    addresses : arrow table (address uint64, size int64, stack int32) of the blocks live at the end, where known
    """

    frames: FrameTable
    stack_offsets: np.ndarray
    stack_frames: np.ndarray
    stacks: np.ndarray
    threads: np.ndarray
    allocators: np.ndarray
    thread_names: tuple[str, ...]
    allocator_names: tuple[str, ...]
    measures: Mapping[str, Measure]
    origin: Origin
    timeline: Timeline | None = None
    addresses: pa.Table | None = None

    def __len__(self) -> int:
        return len(self.stacks)

    @property
    def n_stacks(self) -> int:
        """How many distinct stacks there are."""
        return len(self.stack_offsets) - 1

    def measure(self, name: str | None = None) -> tuple[str, Measure]:
        """The measure of that name, or the first there is in the order of ``MEASURES``; raises ValueError."""
        if name is None:
            name = next(each for each in MEASURES if each in self.measures)
        if name not in self.measures:
            raise ValueError(f"This profile has no measure {name!r}; it has {', '.join(self.measures)}.")
        return name, self.measures[name]

    def total(self, measure: str | None = None) -> int:
        """All bytes of one measure."""
        return int(self.measure(measure)[1].bytes.sum())

    def totals(self) -> dict[str, int]:
        """All bytes of every measure; for pprof under the names it uses itself (inuse_space, alloc_space)."""
        own = {"live": "inuse_space", "allocated": "alloc_space"} if self.origin.tool == "pprof" else {}
        return {own.get(name, name): self.total(name) for name in self.measures}

    def stack(self, index: int) -> tuple[Frame, ...]:
        """The frames of one stack, innermost first."""
        ids = self.stack_frames[self.stack_offsets[index] : self.stack_offsets[index + 1]]
        return tuple(self.frames[int(frame)] for frame in ids)

    def by_stack(self, measure: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Bytes and counts summed over threads and allocators: int64[stacks] each; counts 0 where unknown."""
        _, values = self.measure(measure)
        return self._summed(values.bytes), self._summed(values.counts)

    def _summed(self, column: np.ndarray | None) -> np.ndarray:
        out = np.zeros(self.n_stacks, np.int64)
        if column is not None:
            np.add.at(out, self.stacks, column)
        return out

    @cached_property
    def rooms(self) -> np.ndarray:
        """uint8[frames]: which ``Room`` each frame belongs to."""
        from forensics.profiles.frames import rooms_of

        return rooms_of(self.frames, self.origin.runtime)

    def top(self, limit: int = 20, measure: str | None = None) -> pd.DataFrame:
        """The heaviest places: columns place, bytes, count, share, stacks; see ``forensics.profiles.naming``."""
        from forensics.profiles.naming import places

        return places(self, measure=measure).head(limit)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each stack, thread and allocator; a copy."""
        import pandas as pd

        from forensics.profiles.naming import place_of_stack

        places = [place_of_stack(self, stack).text for stack in range(self.n_stacks)]
        columns: dict[str, Any] = {
            "stack": self.stacks,
            "place": [places[stack] for stack in self.stacks],
            "thread": [self.thread_names[each] if each >= 0 else None for each in self.threads],
            "allocator": [self.allocator_names[each] if each >= 0 else None for each in self.allocators],
        }
        for name, values in self.measures.items():
            columns[f"{name}_bytes"] = values.bytes
            if values.counts is not None:
                columns[f"{name}_count"] = values.counts
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        sums = ", ".join(f"{name} {units.size(self.total(name))}" for name in self.measures)
        cut = "" if self.origin.complete else ", cut short"
        return (
            f"<AllocationProfile {self.origin.tool} of {self.origin.runtime}: "
            f"{self.n_stacks} stacks, {sums}{cut}>"
        )

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.origin.notes)
        return f"<p>{html.escape(repr(self))}</p>{notes}{self.top(10).to_html(escape=True, index=False)}"
