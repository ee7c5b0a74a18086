"""Making room for the service's threads on the cores that it shares with us.

Since Linux 6.6 a thread keeps its core to the end of its slice, whoever wakes up there, and is looked at again at the
next tick of the clock only: a service of two cores waited up to 4 ms for ours, again and again while its heap was
read. Since 6.12 a thread with a shorter slice takes over at once where it is behind, and a thread may say how long its
slice is. Nothing is taken from our share of the core, as niceness would: a child that waits for a slow reader holds
the service's memory for longer. The walker does the same for itself (``agent/native/child.c``).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
from collections.abc import Iterator

#: Longer than the kernel's own slice (0.7 to 3 ms), and no longer than a tick: who waits already waits no longer.
SLICE_NS = 4_000_000
_GET_AND_SET = {"x86_64": (315, 314), "aarch64": (275, 274)}
#: ``struct sched_attr``: size, policy, flags, nice, priority, runtime (of an ordinary thread: its slice), …
_ATTRIBUTES = struct.Struct("<IIQiIQQQ")


@contextlib.contextmanager
def yielding() -> Iterator[None]:
    """This thread, and those that it starts meanwhile, give way to any thread that wakes up on their core.

    Kernels before 6.12 and other systems pay no regard to it.
    """
    before = _attributes()
    if before is not None and before[1] in (os.SCHED_OTHER, os.SCHED_BATCH):
        _set((*before[:5], SLICE_NS, 0, 0))
    else:
        before = None
    try:
        yield
    finally:
        if before is not None:
            _set(before)


def slice_of(tid: int = 0) -> int:
    """The slice of a thread (0: this one) in nanoseconds; 0 where the kernel does not tell."""
    attributes = _attributes(tid)
    return attributes[5] if attributes is not None else 0


def _attributes(tid: int = 0) -> tuple[int, ...] | None:
    """What the scheduler knows of a thread, in the order of ``_ATTRIBUTES``; None where it does not tell."""
    numbers = _GET_AND_SET.get(platform.machine())
    if numbers is None or platform.system() != "Linux":
        return None
    raw = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if ctypes.CDLL(None).syscall(numbers[0], tid, raw, _ATTRIBUTES.size, 0):
        return None
    return _ATTRIBUTES.unpack(raw.raw)


def _set(attributes: tuple[int, ...]) -> None:
    """Silently without effect where it is not allowed."""
    ctypes.CDLL(None).syscall(
        _GET_AND_SET[platform.machine()][1], 0, _ATTRIBUTES.pack(_ATTRIBUTES.size, *attributes[1:]), 0
    )
