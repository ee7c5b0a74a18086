"""Whether a thread may be borrowed where it stands: is it provably not inside malloc or the loader?

``pthread_create`` allocates, so the borrowed thread must hold neither the allocator's locks nor the loader's. Three
places are safe:

- asleep in a system call that neither malloc nor the loader makes (``epoll_wait``, ``poll``, ``nanosleep``,
  ``accept`` …), called from somewhere else than the loader;
- asleep in a ``futex`` that libc entered straight from the interpreter's code (waiting for the interpreter's lock, in
  ``Lock.acquire``, ``Event.wait``), on a word that is not one of the allocator's own locks;
- running, with the instruction pointer inside the interpreter's own code: neither malloc nor the loader calls it.

Where a process has no thread in such a place for a while (one long call into an extension), a fourth is taken:

- running inside a library's own code, if the library is neither libc nor the loader, exports no ``malloc``, is not
  memray's, and no such library's code stands on the nearest stack. glibc's malloc is a leaf: it calls nothing
  outside libc, so code of zlib or numpy never runs within it.

Everything else (libc's code, the kernel's slow paths) is refused, and the thread runs on.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from forensics.capture.memory import Mapping, ProcessMemory
from forensics.capture.ptrace import Registers
from forensics.capture.stub import RED_ZONE, STACK_NEEDED

#: system calls, by number on x86-64, in which a thread sleeps outside malloc and the loader
SLEEPING = {
    7: "poll",
    23: "select",
    34: "pause",
    35: "nanosleep",
    43: "accept",
    45: "recvfrom",
    47: "recvmsg",
    61: "wait4",
    128: "rt_sigtimedwait",
    230: "clock_nanosleep",
    232: "epoll_wait",
    247: "waitid",
    270: "pselect6",
    271: "ppoll",
    281: "epoll_pwait",
    288: "accept4",
    299: "recvmmsg",
    441: "epoll_pwait2",
}
READ, FUTEX = 0, 202
#: the kernel's own marks for "to be restarted", as a tracer sees them in rax (include/linux/errno.h)
_RESTART = (-512, -513, -514)
_RESTART_BLOCK = -516
_SYS_RESTART_SYSCALL = 219
_NO_SYSCALL = (1 << 64) - 1
_ARENA_ALIGNMENT = 64 << 20
_ARENA_HEAD = 4096
_SYSCALL_BYTES = 2


@dataclass(frozen=True)
class Layout:
    """What lies where in a process, as far as safety asks."""

    interpreter: tuple[Mapping, ...]  # its code
    libc: tuple[Mapping, ...]  # code of libc (and libpthread, where that is a library of its own)
    loader: tuple[Mapping, ...]  # code of ld.so
    allocator_data: tuple[Mapping, ...]  # variables of libc and of the loader: their locks
    libraries: tuple[Mapping, ...]  # code of libraries that are none of these and no allocator
    allocators: tuple[Mapping, ...]  # code of allocators that take malloc's place
    code: tuple[Mapping, ...]  # all code
    all: tuple[Mapping, ...]


def looks_safe(pid: int, tid: int) -> str | None:
    """A first look without stopping anything: what the thread does, or None if it cannot be borrowed there.

    "running" means that only a stop can tell.
    """
    try:
        with open(f"/proc/{pid}/task/{tid}/syscall", encoding="ascii") as file:
            words = file.read().split()
    except OSError:
        return None
    if words[0] == "running":
        return "running"
    number = int(words[0])
    if number in SLEEPING:
        return SLEEPING[number]
    if number == FUTEX:
        return "futex"
    if number == READ and _is_pipe(pid, int(words[1], 16)):
        return "read"
    return None


def why_safe(
    memory: ProcessMemory, layout: Layout, registers: Registers, first_look: str, in_libraries: bool = False
) -> str | None:
    """What a stopped thread was doing, if it may be borrowed there; else None.

    ``in_libraries`` allows the fourth place.
    """
    ip, number = registers.rip, registers.orig_rax
    if not _has_stack(layout, registers.rsp):
        return None
    if number == _NO_SYSCALL:
        if _within(layout.interpreter, ip):
            return "running the interpreter"
        if in_libraries and _within(layout.libraries, ip) and not _allocating(memory, layout, registers.rsp):
            return "running a library"
        return None
    if _within(layout.loader, ip):
        return None
    if number in SLEEPING:
        return SLEEPING[number]
    if number == READ:
        return "read" if first_look == "read" else None
    if number == FUTEX and _futex_of_the_interpreter(memory, layout, registers):
        return "futex"
    return None


def resumed(registers: Registers) -> Registers:
    """The registers with which the thread goes on as if nothing had been: an interrupted call is made again.

    The kernel does the same when a stopped thread goes on without a signal (arch/x86/kernel/signal.c,
    ``arch_do_signal_or_restart``); here the return from the stub takes its place.
    """
    copy = Registers.from_buffer_copy(registers)
    if registers.orig_rax != _NO_SYSCALL:
        result = registers.rax - (1 << 64) if registers.rax >> 63 else registers.rax
        if result in _RESTART:
            copy.rax, copy.rip = registers.orig_rax, registers.rip - _SYSCALL_BYTES
        elif result == _RESTART_BLOCK:
            copy.rax, copy.rip = _SYS_RESTART_SYSCALL, registers.rip - _SYSCALL_BYTES
    copy.orig_rax = _NO_SYSCALL
    return copy


def _within(mappings: tuple[Mapping, ...], address: int) -> bool:
    return any(address in mapping for mapping in mappings)


def _has_stack(layout: Layout, stack_pointer: int) -> bool:
    """Whether enough of the thread's stack is mapped; a coroutine's small stack on the heap is refused."""
    for mapping in layout.all:
        if stack_pointer in mapping:
            is_stack = (mapping.writable and mapping.path in ("", "[stack]")) or mapping.path.startswith(
                "[stack:"
            )
            return is_stack and stack_pointer - RED_ZONE - STACK_NEEDED >= mapping.start
    return False


def _futex_of_the_interpreter(memory: ProcessMemory, layout: Layout, registers: Registers) -> bool:
    word = registers.rdi
    if _within(layout.allocator_data, word) or word % _ARENA_ALIGNMENT < _ARENA_HEAD:
        return False
    if _within(layout.interpreter, registers.rip):
        return True
    try:
        stack = memory.read(registers.rsp, 1024)
    except OSError:
        return False
    for (value,) in struct.iter_unpack("<Q", stack):
        if value >= 4096 and not _within(layout.libc, value) and _within(layout.code, value):
            return _within(layout.interpreter, value)
    return False


def _allocating(memory: ProcessMemory, layout: Layout, stack_pointer: int) -> bool:
    """Whether an address inside an allocator stands on the nearest stack; too careful rather than not enough."""
    if not layout.allocators:
        return False
    try:
        stack = memory.read(stack_pointer, 4096)
    except OSError:
        return True
    return any(_within(layout.allocators, value) for (value,) in struct.iter_unpack("<Q", stack))


def _is_pipe(pid: int, descriptor: int) -> bool:
    try:
        target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:
        return False
    return target.startswith(("pipe:", "socket:", "anon_inode:", "/dev/pts/", "/dev/tty"))
