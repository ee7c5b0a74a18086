"""The few ``ptrace(2)`` requests that the injector needs, on x86-64 Linux.

One thread of a process is attached with ``PTRACE_SEIZE`` (which does not stop it) and stopped with
``PTRACE_INTERRUPT``. ``PTRACE_O_EXITKILL`` is never set: if this process dies, the kernel lets go of the thread.
Every call must come from the thread that attached. The interpreter lock is held during the calls (``ctypes.PyDLL``),
so that nothing of ours comes between a stop and its end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

_SEIZE, _INTERRUPT, _CONT, _DETACH = 0x4206, 0x4207, 7, 17
_GETREGS, _SETREGS, _POKEDATA = 12, 13, 5
_WALL, _WNOHANG = 0x40000000, 1
_EVENT_STOP = 128

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_libc.waitpid.argtypes = (ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.c_int)


class Registers(ctypes.Structure):
    """``struct user_regs_struct`` of x86-64."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
            "fs_base gs_base ds es fs gs"
        ).split()
    )


class ThreadGone(Exception):
    """The thread ended, or its process was killed, while we looked at it."""


class ThreadStopped(Exception):
    """The whole process is stopped by job control (SIGSTOP, SIGTSTP)."""


class TracedThread:
    """A thread we are attached to; use as a context manager, which lets go of it.

    Raises
    ------
    PermissionError : no right to trace it, or somebody else traces it already.
    ThreadGone : there is no such thread.
    """

    def __init__(self, tid: int) -> None:
        self.tid = tid
        self._stopped = False
        self._pending_signal = 0
        #: ``time.perf_counter()`` when it was last seen running: it has stood for at most the time since then
        self.running_until = time.perf_counter()
        self._request(_SEIZE)

    def __enter__(self) -> TracedThread:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stopped:
            self.detach()

    def stop(self, patience: float = 0.5) -> None:
        """Stop the thread and wait until it stands.

        A signal that was about to be delivered is handed back to the thread when it goes on.

        Raises
        ------
        ThreadGone, ThreadStopped : see there.
        TimeoutError : it did not stop within ``patience`` seconds (uninterruptible sleep); it runs on, and the kernel
            lets go of it when the calling thread of ours ends.
        """
        self._request(_INTERRUPT)
        status = self._wait(patience)
        self._stopped = True
        stop_signal, event = os.WSTOPSIG(status), status >> 16
        if event != _EVENT_STOP:
            self._pending_signal = stop_signal
        elif stop_signal != signal.SIGTRAP:
            self.detach()
            raise ThreadStopped

    def detach(self) -> None:
        """Let the thread run on."""
        self._stopped = False
        with contextlib.suppress(ThreadGone, PermissionError):
            self._request(_DETACH, data=self._pending_signal)

    def registers(self) -> Registers:
        """Its registers (a copy)."""
        registers = Registers()
        self._request(_GETREGS, data=ctypes.addressof(registers))
        return registers

    def set_registers(self, registers: Registers) -> None:
        """Give it other registers, all at once."""
        self._request(_SETREGS, data=ctypes.addressof(registers))

    @property
    def interrupted_by_signal(self) -> bool:
        """Whether it stands before the delivery of a signal, and not where ``PTRACE_INTERRUPT`` stopped it."""
        return self._pending_signal != 0

    def write_code(self, address: int, code: bytes) -> None:
        """Write ``code`` over read-only memory; the kernel gives the process a private copy of that page."""
        padded = code + bytes(-len(code) % 8)
        for position in range(0, len(padded), 8):
            word = int.from_bytes(padded[position : position + 8], "little")
            self._request(_POKEDATA, address + position, word)

    def _wait(self, patience: float) -> int:
        status = ctypes.c_int()
        deadline = time.monotonic() + patience
        spins = 0
        while True:
            seen = time.perf_counter()
            found = _libc.waitpid(self.tid, status, _WALL | _WNOHANG)
            if found == self.tid:
                if os.WIFSTOPPED(status.value):
                    return status.value
                raise ThreadGone
            if found < 0:
                raise ThreadGone
            self.running_until = seen
            if time.monotonic() > deadline:
                raise TimeoutError
            spins += 1
            if spins > 20:
                # Not time.sleep(): that would hand the interpreter lock to another thread of ours.
                _libc.usleep(50)

    def _request(self, request: int, address: int = 0, data: int = 0) -> None:
        if _libc.ptrace(request, self.tid, address, data) < 0:
            number = ctypes.get_errno()
            if number == 3:
                raise ThreadGone
            raise OSError(number, os.strerror(number))
