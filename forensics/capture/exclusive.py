"""One capture at a time enters a process: who comes second finds the agent that the first one started."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator

from forensics.errors import CaptureError

_BUSY = (errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def exclusive(pid: int, deadline: float) -> Iterator[None]:
    """Keep out whoever else enters a process of this interpreter; the lock goes with the process that holds it.

    It lies on the interpreter's file, which is the same one for a caller outside and one inside a container. Where
    that file's system knows no locks, nobody is kept out.

    Parameters
    ----------
    deadline : until when to wait for the lock, in seconds of ``time.monotonic``

    Raises
    ------
    CaptureError : somebody else holds it still.
    """
    descriptor = os.open(f"/proc/{pid}/exe", os.O_RDONLY | os.O_CLOEXEC)
    try:
        while _held_elsewhere(descriptor):
            if time.monotonic() > deadline:
                raise CaptureError(
                    f"Another capture is entering a process of the same interpreter as {pid} and does not end.",
                    advice="Wait for it, or end it.",
                    pid=pid,
                )
            time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)


def _held_elsewhere(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _BUSY
    return False
