"""Goroutines by what they wait for, over the profiles of a capture, and who began them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from forensics.profiles.handlers import plain_name, run_of, stack_with_rooms
from forensics.profiles.model import AllocationProfile, Frame
from forensics.profiles.room import Room

#: Goroutines of one kind must have grown by so many.
LEAST = 10

_WAITS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a channel to receive from", re.compile(r"^runtime\.chanrecv")),
    ("a channel to send to", re.compile(r"^runtime\.chansend")),
    ("one of several channels (select)", re.compile(r"^runtime\.(?:selectgo|block)")),
    ("a lock", re.compile(r"^runtime\.(?:semacquire|goparkunlock)|^sync\.\(\*(?:RW)?Mutex\)|^internal/sync\.")),
    ("a wait group or condition", re.compile(r"^sync\.\(\*(?:WaitGroup|Cond)\)|^sync\.runtime_notifyListWait")),
    ("a sleep", re.compile(r"^time\.Sleep")),
    ("a socket", re.compile(r"^internal/poll\.")),
)  # fmt: skip
_CONNECTION = re.compile(r"^net/http\.\(\*persistConn\)\.(?:readLoop|writeLoop)")
_CREATED = re.compile(r"^created by (\S+)(?: in goroutine \d+)?$")
_STATE = re.compile(r"^goroutine \d+(?: gp=\S+ m=\S+(?: mp=\S+)?)? \[([^,\]]+)(?:, (\d+) minutes)?")


@dataclass
class Waiting:
    """Goroutines that stand at the same place.

    Attributes
    ----------
    name : the application's function that waits, or the library's outermost
    wait : for what
    counts : int64[profiles]
    frame : where it waits, in the application's code where that is on the stack
    connection : whether they are the two loops of an HTTP client's connection
    """

    name: str
    wait: str
    counts: np.ndarray
    frame: Frame | None = None
    connection: bool = False
    creators: dict[str, int] = field(default_factory=dict)

    @property
    def grown(self) -> int:
        """How many came between the first and the last profile."""
        return int(self.counts[-1] - self.counts[0])

    @property
    def growing(self) -> bool:
        """More in each later half, and enough of them."""
        if len(self.counts) < 2 or self.grown < LEAST:
            return False
        middle = float(np.interp((len(self.counts) - 1) / 2, np.arange(len(self.counts)), self.counts))
        return bool(self.counts[-1] - middle >= 0.25 * (middle - self.counts[0]))


def waiting(profiles: Sequence[AllocationProfile], text: str | None = None) -> list[Waiting]:
    """Every kind of waiting goroutine, the one that grew most first.

    Parameters
    ----------
    profiles : of goroutines, oldest first
    text : what ``goroutine?debug=2`` wrote last; it says who began each
    """
    found: dict[tuple[str, str], Waiting] = {}
    for number, profile in enumerate(profiles):
        _, counts = profile.by_stack("live")
        for stack in np.flatnonzero(counts):
            frames, rooms = stack_with_rooms(profile, int(stack))
            name, frame = _who(frames, rooms)
            key = name, _wait(frames)
            if key not in found:
                connection = any(_CONNECTION.search(each.function) for each in frames)
                found[key] = Waiting(*key, np.zeros(len(profiles), np.int64), frame, connection)
            found[key].counts[number] += int(counts[stack])
    if text:
        creators = created_by(text)
        for each in found.values():
            each.creators = creators.get(each.name, {})
    return sorted(found.values(), key=lambda each: -each.grown)


def _who(frames: Sequence[Frame], rooms: Sequence[Room]) -> tuple[str, Frame | None]:
    run = run_of(frames, rooms)
    if run is not None:
        return plain_name(run.handler.function), run.entry
    outer = next((frame for frame in reversed(frames) if not frame.function.startswith("runtime.")), None)
    return (plain_name(outer.function), outer) if outer else ("the runtime", None)


def _wait(frames: Sequence[Frame]) -> str:
    for wait, pattern in _WAITS:
        if any(pattern.search(frame.function) for frame in frames[:8]):
            return wait
    return "the processor"


def created_by(text: str) -> dict[str, dict[str, int]]:
    """Outermost function of a goroutine → function that began it → how many; out of ``goroutine?debug=2``."""
    found: dict[str, dict[str, int]] = {}
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if not lines or not _STATE.match(lines[0]):
            continue
        creator = next((match[1] for line in lines if (match := _CREATED.match(line))), None)
        functions = [line[: line.rindex("(")] for line in lines[1:] if not line[:1].isspace() and "(" in line
                     and not line.startswith("created by ")]  # fmt: skip
        if creator is None or not functions:
            continue
        for function in functions:
            row = found.setdefault(plain_name(function), {})
            row[plain_name(creator)] = row.get(plain_name(creator), 0) + 1
    return found
