"""The memory guard: what a capture will cost its target, and whether there is room for that.

The figures are measurements on CPython 3.11 to 3.14 (2.1 million objects in 310 MB, two cores); what a capture really
cost stands in its manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forensics.capture.cgroup import MemoryGroup, memory_group
from forensics.capture.rights import status
from forensics.capture.table import size
from forensics.errors import CaptureError

_MB = 1 << 20
_GB = 1 << 30
#: resident bytes for each object of a Python heap that holds DynamoDB items
_BYTES_PER_OBJECT = 148
_FORK_SECONDS_PER_GB = 0.045
_FORK_SECONDS = 0.006
_NATIVE_SECONDS_PER_OBJECT = 0.16e-6
_PYTHON_SECONDS_PER_OBJECT = 5e-6
#: a snapshot on disk, for each object
_DISK_PER_OBJECT = 75


@dataclass(frozen=True)
class Memory:
    """What a process has, bytes."""

    resident: int
    anonymous: int
    swapped: int


@dataclass(frozen=True)
class Cost:
    """What one snapshot will cost, foretold."""

    objects: int
    pause_seconds: float  # for how long no Python code of the target runs
    walk_seconds: float
    extra_bytes: int  # in the target and its child, usual
    needed_bytes: int  # in the worst case that was seen; this much room is asked for
    disk_bytes: int


@dataclass(frozen=True)
class Room:
    """How much memory there is until somebody is killed, and who counts it."""

    headroom: int  # bytes: the least of the group's, with its swap, and the machine's
    limited_by: str
    group: MemoryGroup | None


def memory_of(pid: int) -> Memory:
    """Resident, anonymous and swapped bytes of process ``pid``; OSError if it is gone."""
    facts = status(pid)
    resident, anonymous, swapped = (
        int(facts.get(name, "0 kB").split()[0]) * 1024 for name in ("VmRSS", "RssAnon", "VmSwap")
    )
    return Memory(resident, anonymous, swapped)


def foretell(memory: Memory, *, native: bool, in_place: bool = False) -> Cost:
    """What a snapshot of a process with so much memory costs.

    A child shares every page until one side writes to it. The native walker writes to none; what the service changes
    meanwhile is copied (3 to 8 % of its memory, 35 % under heavy churn; the collector, which would touch nearly all,
    is held off). The Python walker changes the reference count of all it sees, and so copies everything.
    """
    objects = max(memory.anonymous + memory.swapped, 1) // _BYTES_PER_OBJECT
    fork = _FORK_SECONDS + _FORK_SECONDS_PER_GB * memory.resident / _GB
    native_walk = objects * _NATIVE_SECONDS_PER_OBJECT
    private = 12 * _MB + objects * 3
    if native and in_place:
        pause, walk, extra, needed = native_walk, native_walk, private, private + 32 * _MB
    elif native:
        extra = private + memory.anonymous * 5 // 100
        pause, walk, needed = fork, native_walk * 1.5, private + 32 * _MB + memory.anonymous * 35 // 100
    else:
        copied = memory.anonymous + memory.swapped
        pause, walk, extra = fork * 1.5, objects * _PYTHON_SECONDS_PER_OBJECT, copied * 125 // 100
        needed = copied * 150 // 100 + 32 * _MB
    return Cost(objects, pause, walk, extra, needed, objects * _DISK_PER_OBJECT)


def room_for(pid: int) -> Room:
    """How much more memory process ``pid`` may take; OSError if it is gone."""
    machine = _meminfo()
    available = machine.get("MemAvailable", 0)
    group = memory_group(pid)
    if group is None or group.headroom is None:
        return Room(available, "the machine", group)
    swap = machine.get("SwapFree", 0)
    swap = swap if group.swap_left is None else min(swap, group.swap_left)
    inside = group.headroom + swap
    if inside < available:
        return Room(inside, f"the control group {group.path}", group)
    return Room(available, "the machine", group)


def require_room(pid: int, *, native: bool, in_place: bool = False) -> tuple[Cost, Room]:
    """The cost and the room, or an error that gives both and says what can be done instead.

    Raises
    ------
    CaptureError : there is too little room; ``data`` holds ``needed``, ``headroom`` and ``in_place_pause``.
    """
    memory, room = memory_of(pid), room_for(pid)
    cost = foretell(memory, native=native, in_place=in_place)
    needed = needed_room(cost, memory, room, native=native, in_place=in_place)
    if needed <= room.headroom:
        return cost, room
    together = room.group is not None and room.group.kills_as_one
    death = " memory.oom.group is 1 there: the whole container would be killed." if together else ""
    raise CaptureError(
        f"There is too little memory for a capture of process {pid}: it may need {size(needed)} more, and "
        f"{room.limited_by} has {size(room.headroom)} left ({size(memory.anonymous)} are its own now).{death}",
        advice=_instead(memory, room, native=native, in_place=in_place),
        pid=pid,
        needed=needed,
        headroom=room.headroom,
        in_place_pause=foretell(memory, native=True, in_place=True).pause_seconds,
    )


def needed_room(cost: Cost, memory: Memory, room: Room, *, native: bool, in_place: bool) -> int:
    """Bytes to ask for; where the whole container would be killed, enough for every page to be copied."""
    if room.group is not None and room.group.kills_as_one and not in_place:
        return max(cost.needed_bytes, memory.anonymous * 110 // 100)
    return cost.needed_bytes


def _instead(memory: Memory, room: Room, *, native: bool, in_place: bool) -> str:
    inside = foretell(memory, native=True, in_place=True)
    if in_place or inside.needed_bytes > room.headroom:
        return (
            "Raise the limit, or take no capture: `forensics capture --snapshots 0 --watch 60` only counts."
        )
    if not native:
        return "Raise the limit, or make a native walker possible: a C compiler, or the target's Python version here."
    return (
        f"Raise the limit, or walk in the process itself with --in-place: it would stand still for about "
        f"{inside.pause_seconds:.2f} s and take {size(inside.extra_bytes)}. Or take no capture: "
        "`--snapshots 0 --watch 60` only counts."
    )


def _meminfo() -> dict[str, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in lines)}
