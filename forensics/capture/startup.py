"""Whether a Python process has come up: before its dynamic loader is through there is no interpreter to look for."""

from __future__ import annotations

import os
import time

from forensics.capture.memory import mappings
from forensics.errors import TargetError

#: seconds that the loader may take; a disturbed machine needs tenths, a library on a slow disk more
_PATIENCE = 5.0


def is_libc(path: str) -> bool:
    """Whether ``path`` is the C library, glibc's ``libpthread`` of old included."""
    return os.path.basename(path).startswith(("libc.so", "libc-2.", "libpthread"))


def is_loader(path: str) -> bool:
    """Whether ``path`` is glibc's dynamic loader."""
    return os.path.basename(path).startswith(("ld-linux", "ld-2."))


def await_libraries(pid: int, patience: float = _PATIENCE) -> None:
    """Return once Python process ``pid`` has its C library, or has no glibc to come (static, musl).

    Raises
    ------
    TargetError : it has not after ``patience`` seconds.
    OSError : the process is gone, or is not ours.
    """
    deadline = time.monotonic() + patience
    while _loads(pid):
        if time.monotonic() > deadline:
            raise TargetError(
                f"Process {pid} has not come up: it still loads its libraries after {patience:g} s.",
                advice="Try again when the service is up; it may be stopped.",
                pid=pid,
            )
        time.sleep(0.002)


def _loads(pid: int) -> bool:
    paths = {each.path for each in mappings(pid)}
    return any(map(is_loader, paths)) and not any(map(is_libc, paths))
