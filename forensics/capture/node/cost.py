"""What a snapshot of a Node process costs it, foretold, and whether there is room.

Measured on Node 20 (two cores): a heap of 227 MB in 6.9 million nodes stood still for 35 to 38 s while the snapshot
was taken from outside, and its resident set rose by up to 2.1 GB; a heap of 6 MB in 130,000 nodes for 0.7 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import psutil

from forensics.capture import guard
from forensics.capture.table import size
from forensics.errors import CaptureError

BYTES_PER_NODE = 33
SECONDS_PER_NODE = 5.5e-6
EXTRA_PER_NODE = 320
_CENSUS_SECONDS_PER_NODE = 3e-8
_LEAST_EXTRA = 48 << 20
_LEAST_PAUSE = 0.1
#: V8 asks the kernel for its pages at multiples of so many bytes. So does malloc for other threads' arenas, and some
#: kernels place buffers of megabytes so: then more is foretold than comes, never less.
_PAGE = 256 << 10
#: bytes of our own file for each node, and of the snapshot that is held in this process's memory meanwhile
DISK_PER_NODE = 85
SNAPSHOT_PER_NODE = 90


@dataclass(frozen=True)
class SnapshotCost:
    """What one snapshot will cost the process: seconds in which it answers nobody, bytes that it grows by."""

    nodes: int
    pause_seconds: float
    extra_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class Degree:
    """One degree of evidence: the options that ask for it, and its cost to the process."""

    name: str
    options: str
    pause_seconds: float
    extra_bytes: int


def degrees(snapshot: SnapshotCost) -> tuple[Degree, ...]:
    """What can be had of a Node process, the cheapest first, beside a snapshot of that cost.

    Measured on Node 20: sampling takes about a millisecond to begin and to end, and its tables some MB; of a heap of
    230 MB, a census stood still for 0.23 s at the longest, nearly all of it while the debugger went over the heap.
    """
    census = _LEAST_PAUSE + snapshot.nodes * _CENSUS_SECONDS_PER_NODE
    return (
        Degree("counters", "--snapshots 0 --watch 60", 0.001, 0),
        Degree("sampled allocations", "--snapshots 0 --allocations 60", 0.002, 4 << 20),
        Degree("census of containers", "--census", census, 16 << 20),
        Degree("snapshot", "--snapshots 1", snapshot.pause_seconds, snapshot.extra_bytes),
    )


def heap_of(pid: int) -> int:
    """Bytes of process ``pid`` that are V8's heap, read from its memory map, before anything is asked of it.

    Measured on Node 18 to 24, heaps of 4 to 460 MB beside 200 MB of buffers: 0.7 to 1.1 of ``heapTotal`` (what V8 has
    not touched yet is not in memory). All its anonymous memory where the map may not be read; OSError if it is gone.
    """
    everything = guard.memory_of(pid)
    try:
        maps = psutil.Process(pid).memory_maps(grouped=False)
    except psutil.Error:
        maps = []
    pages = sum(
        each.anonymous + each.swap
        for each in maps
        if each.path == "[anon]" and int(each.addr.partition("-")[0], 16) % _PAGE == 0
    )
    return pages or everything.anonymous + everything.swapped


def foretell(heap_bytes: int) -> SnapshotCost:
    """The cost for a V8 heap of so many bytes in use."""
    nodes = max(heap_bytes, 1) // BYTES_PER_NODE
    return SnapshotCost(
        nodes=nodes,
        pause_seconds=_LEAST_PAUSE + nodes * SECONDS_PER_NODE,
        extra_bytes=_LEAST_EXTRA + nodes * EXTRA_PER_NODE,
        disk_bytes=nodes * DISK_PER_NODE,
    )


def require_room(pid: int, heap_bytes: int) -> SnapshotCost:
    """The cost, or an error that says what is missing.

    Raises
    ------
    CaptureError : the process's control group, or the machine, has no room for the snapshot.
    """
    cost = foretell(heap_bytes)
    room = guard.room_for(pid)
    if cost.extra_bytes <= room.headroom:
        return cost
    raise CaptureError(
        f"Too little memory for a heap snapshot of process {pid}: V8 may take {size(cost.extra_bytes)} for its "
        f"{size(heap_bytes)} of heap, and {room.limited_by} has {size(room.headroom)} left.",
        advice="Raise the limit; or sample allocations instead, which costs next to nothing: "
        "`forensics capture PID --snapshots 0 --allocations 60`.",
        pid=pid,
        needed=cost.extra_bytes,
        headroom=room.headroom,
    )
