"""ProfileBuilder: interns frames and stacks while a loader reads, and yields one AllocationProfile."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa

from forensics.profiles.model import AllocationProfile, Frame, FrameTable, Measure, Origin, Timeline

LARGEST = (1 << 63) - 1
#: Bounds against files built to exhaust memory: frames of one stack, and of all stacks together.
DEEPEST = 1 << 16
MOST_FRAMES = 1 << 25


class ProfileBuilder:
    """Collects rows; rows of the same stack, thread and allocator are added up."""

    def __init__(self, measures: Sequence[str], *, counted: bool = True) -> None:
        self._measures = tuple(measures)
        self._counted = counted
        self._frames: dict[Frame, int] = {}
        self._stacks: dict[tuple[int, ...], int] = {}
        self._threads: dict[str, int] = {}
        self._allocators: dict[str, int] = {}
        self._members = 0
        self._rows: dict[tuple[int, int, int], list[int]] = {}

    def frame(self, frame: Frame) -> int:
        """The number of a frame."""
        return self._frames.setdefault(frame, len(self._frames))

    def stack(self, frames: Iterable[int]) -> int:
        """The number of a stack of frame numbers, innermost first; OverflowError beyond the bounds."""
        members = tuple(islice(frames, DEEPEST + 1))
        number = self._stacks.setdefault(members, len(self._stacks))
        if number == len(self._stacks) - 1:
            self._members += len(members)
        if len(members) > DEEPEST or self._members > MOST_FRAMES:
            raise OverflowError(f"stacks of more than {DEEPEST} frames, or {MOST_FRAMES} in all")
        return number

    def add(
        self,
        stack: int,
        values: Mapping[str, tuple[int, int]],
        *,
        thread: str | None = None,
        allocator: str | None = None,
    ) -> None:
        """Add (bytes, count) for some of the measures to one row."""
        key = (
            stack,
            -1 if thread is None else self._threads.setdefault(thread, len(self._threads)),
            -1 if allocator is None else self._allocators.setdefault(allocator, len(self._allocators)),
        )
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = [0] * (2 * len(self._measures))
        for position, name in enumerate(self._measures):
            size, count = values.get(name, (0, 0))
            row[2 * position] += size
            row[2 * position + 1] += count

    def build(
        self, origin: Origin, *, timeline: Timeline | None = None, addresses: pa.Table | None = None
    ) -> AllocationProfile:
        """The profile; raises OverflowError where a sum does not fit 64 bits."""
        members = array("i")
        offsets = np.zeros(len(self._stacks) + 1, np.int64)
        for number, stack in enumerate(self._stacks):
            members.extend(stack)
            offsets[number + 1] = len(members)
        keys = np.array(list(self._rows), np.int32).reshape(-1, 3)
        values = np.array(list(self._rows.values()), np.int64).reshape(-1, 2 * len(self._measures))
        measures = {
            name: Measure(
                np.ascontiguousarray(values[:, 2 * position]),
                np.ascontiguousarray(values[:, 2 * position + 1]) if self._counted else None,
            )
            for position, name in enumerate(self._measures)
        }
        return AllocationProfile(
            frames=FrameTable(
                pa.array([frame.function for frame in self._frames], pa.string()),
                pa.array([frame.file for frame in self._frames], pa.string()),
                np.array([frame.line for frame in self._frames], np.int32),
            ),
            stack_offsets=offsets,
            stack_frames=np.array(members, np.int32),
            stacks=np.ascontiguousarray(keys[:, 0]),
            threads=np.ascontiguousarray(keys[:, 1]),
            allocators=np.ascontiguousarray(keys[:, 2]),
            thread_names=tuple(self._threads),
            allocator_names=tuple(self._allocators),
            measures=measures,
            origin=origin,
            timeline=timeline,
            addresses=addresses,
        )
