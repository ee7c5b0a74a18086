"""Another process's memory: its mappings, and reading and writing it without stopping it.

Reads and writes go through ``process_vm_readv(2)`` and ``process_vm_writev(2)``; both need the same right as
``ptrace``. The calls hold this process's interpreter lock (``ctypes.PyDLL``): the injector makes them while a thread
of the target stands still, and another thread of ours must not come in between.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

PAGE = 4096


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_libc = ctypes.PyDLL(None, use_errno=True)
for _function in (_libc.process_vm_readv, _libc.process_vm_writev):
    _function.restype = ctypes.c_ssize_t
    _function.argtypes = (
        ctypes.c_int,
        ctypes.POINTER(_Iovec),
        ctypes.c_ulong,
        ctypes.POINTER(_Iovec),
        ctypes.c_ulong,
        ctypes.c_ulong,
    )


@dataclass(frozen=True)
class Mapping:
    """One line of ``/proc/PID/maps``; ``end`` is the first address after it, ``path`` the target's own."""

    start: int
    end: int
    permissions: str
    offset: int
    path: str

    @property
    def executable(self) -> bool:
        """Whether code in it may run."""
        return self.permissions[2] == "x"

    @property
    def writable(self) -> bool:
        """Whether the process may write to it."""
        return self.permissions[1] == "w"

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end


def mappings(pid: int) -> list[Mapping]:
    """The mappings of process ``pid``, by address.

    Raises
    ------
    OSError : the process is gone, or is not ours (``PermissionError``).
    """
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            span, permissions, offset, _, _, *path = line.rstrip("\n").split(maxsplit=5)
            start, _, end = span.partition("-")
            found.append(
                Mapping(int(start, 16), int(end, 16), permissions, int(offset, 16), path[0] if path else "")
            )
    return found


class ProcessMemory:
    """The memory of process ``pid``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes (a copy) from ``address``.

        Raises
        ------
        OSError : not ours (EPERM), gone (ESRCH), or not all mapped (EFAULT).
        """
        buffer = ctypes.create_string_buffer(size)
        local, remote = _Iovec(ctypes.addressof(buffer), size), _Iovec(address, size)
        self._check(_libc.process_vm_readv(self.pid, local, 1, remote, 1, 0), size)
        return buffer.raw

    def write(self, address: int, data: bytes) -> None:
        """Write ``data`` to ``address``, which the target must be able to write to; errors as in ``read``."""
        buffer = ctypes.create_string_buffer(data, len(data))
        local, remote = _Iovec(ctypes.addressof(buffer), len(data)), _Iovec(address, len(data))
        self._check(_libc.process_vm_writev(self.pid, local, 1, remote, 1, 0), len(data))

    def read_text(self, address: int, limit: int = 256) -> str:
        """A NUL-terminated string of at most ``limit`` bytes, never reading past the page of its end."""
        raw = b""
        while len(raw) < limit and b"\0" not in raw:
            here = address + len(raw)
            raw += self.read(here, min(limit - len(raw), PAGE - here % PAGE, 64))
        return raw.split(b"\0", 1)[0].decode("utf-8", "replace")

    def _check(self, done: int, wanted: int) -> None:
        if done < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        if done != wanted:
            raise OSError(14, f"only {done} of {wanted} bytes are mapped")
