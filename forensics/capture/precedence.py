"""Precedence for a thread of ours in a service whose other threads keep it from the interpreter's lock.

CPython wakes a waiting thread whenever the lock is let go of, but does not hand it over: the thread that let go of it
may take it back before the woken one stands on another core. Only who has slept a whole switch interval (5 ms) without
being woken can demand it. So a thread that makes a quick system call every few milliseconds and never really waits
starves all others of its process for seconds (measured: a loop that lets go of the lock every 3 ms). A thread of
higher priority on the same core runs at the moment it is woken, and has the lock.
"""

from __future__ import annotations

import contextlib
import os
import struct

from forensics.capture.memory import ProcessMemory

#: where glibc on x86-64 keeps a thread's id in what ``pthread_t`` points to; checked against /proc before use
_ID_IN_PTHREAD = 720


def give_precedence(memory: ProcessMemory, pthread: int) -> None:
    """Put the thread of ``pthread`` on the core where its process is busy, before ordinary threads.

    ``pthread`` is a ``pthread_t`` of the target: of a thread that we started there and that ends by itself. Without
    the right to change priorities the core alone is set, which helps a little; with neither, nothing happens.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        (inner_id,) = struct.unpack("<i", memory.read(pthread + _ID_IN_PTHREAD, 4))
        tid = _thread_of_ours(memory.pid, inner_id)
        if tid is None:  # this C library lays its threads out otherwise
            return
        with contextlib.suppress(OSError):
            os.sched_setaffinity(tid, {_busy_core(memory.pid, tid)})
        os.sched_setscheduler(tid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def _thread_of_ours(pid: int, inner_id: int) -> int | None:
    """The thread that its own namespace calls ``inner_id``, if it blocks every signal, as ours do."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8", errors="replace") as lines:
                facts = dict(line.split(":", 1) for line in lines)
            if int(facts["NSpid"].split()[-1]) == inner_id:
                # All but SIGKILL, SIGSTOP and the two that glibc keeps for itself.
                return int(tid) if int(facts["SigBlk"], 16) | 0x1_8004_0100 == 0xFFFF_FFFF_FFFF_FFFF else None
    return None


def _busy_core(pid: int, ours: int) -> int:
    """The core of a thread that runs, else of the main thread."""
    core = None
    for tid in sorted(map(int, os.listdir(f"/proc/{pid}/task"))):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{tid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            if tid != ours and (core is None or fields[0] == "R"):
                core = int(fields[36])
                if fields[0] == "R":
                    break
    if core is None:
        raise ValueError("no other thread")
    return core
