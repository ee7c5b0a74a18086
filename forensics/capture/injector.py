"""Our own way into a Python process that did not prepare for it: x86-64 Linux, glibc, Python 3.9 and later.

How it goes
-----------
1. Everything is looked up while the target runs: addresses by its own dynamic symbols (``elf``), a piece of spare
   code after the end of a library's code, a free piece of address space.
2. One thread is attached and stopped; if it does not stand in a safe place (``safety``), it runs on and another one
   is tried. Into the spare code goes the stub (``stub``), unless an earlier capture left it there; onto the stack,
   below the red zone, go seven words. One ``PTRACE_SETREGS`` sends the thread into the stub, and it is let go.
3. The stub starts a thread and gives every register back by itself. The script is written into that thread's memory,
   and it runs under the interpreter's lock like any native thread's callback.

Why it is safe
--------------
There is no moment at which the target depends on us. Until ``SETREGS`` nothing has changed; after it the target needs
nobody to restore it. ``kill -9`` on the capturing process at any instruction leaves no tracer (the kernel lets go),
no changed register, and at most a thread that ends by itself after three seconds. Signals wait in the kernel while
the thread stands and arrive afterwards, in order. An interrupted system call is restarted exactly as the kernel
restarts it after a stop without a signal. Two injectors exclude each other (``exclusive``), and write the same bytes
if they do not. What stays behind is one private page of code (4 kB).

Why Python and not C, and no library
------------------------------------
The thread stands for the time of about twenty system calls and some arithmetic: 0.12 to 0.16 ms in the median, 0.2 ms
in 95 of 100 (``tests/benchmarks/injector.py``, on two processors under a load of ten), all of it prepared before.
C would save a tenth of a millisecond and cost a compiler at every installation, or a wheel for each platform.
pyinjector and hypno are built on kubo/injector, which stops the main thread wherever it stands and calls ``dlopen``
from there; its own README warns that this may stop the process for ever when that is inside malloc. The registers are
given back by the injecting process, so killing that in the middle kills the target.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from forensics.capture import rights, safety, stub
from forensics.capture.exclusive import exclusive
from forensics.capture.memory import ProcessMemory
from forensics.capture.precedence import give_precedence
from forensics.capture.preparation import OTHER_WAYS, Preparation, free_address, prepare
from forensics.capture.ptrace import ThreadGone, ThreadStopped, TracedThread
from forensics.errors import CaptureError, TargetError

_RETRY_AFTER = 0.0007
#: how long only the three strictest places of ``safety`` are taken
_STRICT_SECONDS = 0.3
#: when a script that has not ended gets precedence, seconds; it takes a few milliseconds where nothing hinders it
_STARVED_AFTER = 0.1
#: seconds until an interpreter that was not there yet is looked for again
_COMES_UP_AFTER = 0.05


@dataclass(frozen=True)
class Injection:
    """What an injection did and cost."""

    thread: int  # the thread that was borrowed
    doing: str  # what it was doing: a system call, or "running the interpreter"
    stopped_seconds: float  # how long it stood, at most
    stops: int  # how many stops it took, those in unsafe places included
    longest_stop: float  # seconds, of any of them
    seconds: float  # all in all, until the script had run


class _NotInitialised(TargetError):
    """The interpreter is not up yet, or is gone already."""


@dataclass
class _Stops:
    times: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def one(self, thread: TracedThread) -> Iterator[None]:
        try:
            yield
        finally:
            self.times.append(time.perf_counter() - thread.running_until)


def supported() -> str | None:
    """Why the injector cannot work on this machine at all, or None."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"the injector knows x86-64 Linux only, and this is {platform.machine()} {sys.platform}"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        flags = next((line for line in lines if line.startswith("flags")), "")
    return None if " xsave " in flags + " " else "this processor cannot save its extended state (no XSAVE)"


def inject(pid: int, script: Callable[[int], str], *, patience: float = 10.0) -> Injection:
    """Run Python source in process ``pid``, in a thread of its own, and return when it has run to its end.

    Parameters
    ----------
    script : given the address (in the target) of the page both sides share, the source to run. It must not raise;
        it tells of an error by writing UTF-8 text to ``page + stub.ERROR_TEXT`` (at most 4000 bytes) and then its
        length, a 32-bit number, to ``page + stub.ERROR_LENGTH``. It runs in the namespace of ``__main__``.
    patience : seconds to look for a thread that can be borrowed (and for an interpreter that is just starting), and
        again as many for the script to end.

    Raises
    ------
    TargetError : the process is gone, not ours, stopped, or not one that can be entered.
    CaptureError : no thread could be borrowed in time, or the script failed.
    """
    reason = supported()
    if reason:
        raise TargetError(f"Process {pid} cannot be entered: {reason}.", advice=OTHER_WAYS, pid=pid)
    outcome: list[Injection | BaseException] = []

    def run() -> None:
        try:
            outcome.append(_inject(pid, script, patience))
        except BaseException as error:
            outcome.append(error)

    # A thread of its own: if anything goes wrong, its end makes the kernel let go of whatever it had attached.
    worker = threading.Thread(target=run, name="forensics-injector", daemon=True)
    worker.start()
    worker.join()
    result = outcome[0]
    if isinstance(result, Injection):
        return result
    if isinstance(result, (ProcessLookupError, FileNotFoundError, ThreadGone)):
        raise TargetError(
            f"Process {pid} ended while it was being entered.",
            advice="Look again with `forensics targets`.",
            pid=pid,
        ) from result
    if isinstance(result, PermissionError):
        raise TargetError(
            f"Process {pid} may not be traced from here: {result}.",
            advice=f"{rights.advice()} `forensics targets` says what closes each way.",
            pid=pid,
        ) from result
    raise result


def _inject(pid: int, script: Callable[[int], str], patience: float) -> Injection:
    deadline = time.monotonic() + patience
    while True:
        try:
            return _inject_once(pid, script, patience, deadline)
        except _NotInitialised:
            if time.monotonic() > deadline:
                raise
            time.sleep(_COMES_UP_AFTER)


def _inject_once(pid: int, script: Callable[[int], str], patience: float, deadline: float) -> Injection:
    began = time.perf_counter()
    memory = ProcessMemory(pid)
    with exclusive(pid, deadline):
        plan = prepare(memory)
        stops = _Stops()
        page = free_address(plan.layout.all)
        source = script(page).encode()
        size = stub.page_size(source)
        thread, doing = _borrow_some_thread(memory, plan, page, size, stops, deadline)
        _await_creation(memory, page, pid)
    nonce = secrets.randbits(63) | 1
    offset, contents = stub.contents(page, size, plan.functions, source, nonce)
    memory.write(page + offset, contents)
    offset, word = stub.ready()
    memory.write(page + offset, word)
    _await_end(memory, page, nonce, pid, patience)
    return Injection(
        thread=thread,
        doing=doing,
        stopped_seconds=stops.times[-1],
        stops=len(stops.times),
        longest_stop=max(stops.times),
        seconds=time.perf_counter() - began,
    )


# -- the stop ----------------------------------------------------------------------------------------------


def _borrow_some_thread(
    memory: ProcessMemory, plan: Preparation, page: int, size: int, stops: _Stops, deadline: float
) -> tuple[int, str]:
    pid = memory.pid
    seen: dict[str, int] = {}
    strict_until = time.monotonic() + _STRICT_SECONDS
    pause = _RETRY_AFTER
    while True:
        in_libraries = time.monotonic() > strict_until
        for tid, first_look in _candidates(pid):
            try:
                doing = _borrow(memory, plan, page, size, tid, first_look, in_libraries, stops)
            except (ThreadGone, TimeoutError):
                if not os.path.exists(f"/proc/{pid}/exe"):
                    raise
                continue
            except ThreadStopped:
                raise TargetError(
                    f"Process {pid} is stopped (SIGSTOP or SIGTSTP): nothing can run in it.",
                    advice=f"Let it go on first: kill -CONT {pid}",
                    pid=pid,
                ) from None
            if doing:
                return tid, doing
            seen[first_look] = seen.get(first_look, 0) + 1
        if time.monotonic() > deadline:
            raise CaptureError(
                f"No thread of process {pid} came to a place where it can be borrowed safely "
                f"({sum(seen.values())} tries: {seen or 'every thread sleeps where malloc or the loader may be'}).",
                advice="Try again, or let the service `import forensics.agent`.",
                pid=pid,
                tries=seen,
            )
        time.sleep(pause)
        pause = min(pause * 1.02, 5 * _RETRY_AFTER)


def _candidates(pid: int) -> list[tuple[int, str]]:
    """Threads to try: those asleep first, the main thread after the others, those running last."""
    looks = [(int(tid), safety.looks_safe(pid, int(tid))) for tid in os.listdir(f"/proc/{pid}/task")]
    if _state(pid) in "ZX":
        raise ThreadGone
    if _state(pid) in "T":
        raise TargetError(
            f"Process {pid} is stopped (SIGSTOP or SIGTSTP): nothing can run in it.",
            advice=f"Let it go on first: kill -CONT {pid}",
            pid=pid,
        )
    able = [(tid, look) for tid, look in looks if look]
    return sorted(able, key=lambda pair: (pair[1] == "running", pair[1] == "futex", pair[0] == pid))


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]


def _borrow(
    memory: ProcessMemory,
    plan: Preparation,
    page: int,
    size: int,
    tid: int,
    first_look: str,
    in_libraries: bool,
    stops: _Stops,
) -> str | None:
    """Send thread ``tid`` through the stub if it stands safely; what it was doing, or None."""
    with _undisturbed(), TracedThread(tid) as thread, stops.one(thread):
        thread.stop()
        if thread.interrupted_by_signal:
            return None
        registers = thread.registers()
        doing = safety.why_safe(memory, plan.layout, registers, first_look, in_libraries)
        if doing is None:
            thread.detach()
            return None
        going_on = safety.resumed(registers)
        block = stub.arguments(page, size, plan.functions, going_on.rip)
        stack = going_on.rsp - stub.RED_ZONE - len(block)
        try:
            memory.write(stack, block)
        except OSError:
            return None
        if not plan.code_is_there:
            thread.write_code(plan.code_at, stub.CODE)
        going_on.rsp, going_on.rip = stack, plan.code_at
        thread.set_registers(going_on)
        thread.detach()
        return doing


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Nothing comes between us and a thread of the target that stands: no other thread of ours, no collection of
    ours, and, where we have the right, no other process."""
    interval, collecting = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(5.0)
    gc.disable()
    _first_in_line(True)
    try:
        yield
    finally:
        _first_in_line(False)
        sys.setswitchinterval(interval)
        if collecting:
            gc.enable()


def _first_in_line(first: bool) -> None:
    """Let this thread run before all ordinary ones, or as an ordinary one again; without the right, nothing."""
    policy = os.SCHED_FIFO if first else os.SCHED_OTHER
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, os.sched_param(int(first)))


# -- afterwards --------------------------------------------------------------------------------------------


def _await_creation(memory: ProcessMemory, page: int, pid: int) -> None:
    deadline = time.monotonic() + 2.0
    while time.monotonic() < deadline:
        time.sleep(0.0002)
        try:
            created = stub.Status.parse(memory.read(page, stub.Status.SIZE)).created
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise ThreadGone from error
            continue
        if created == 1:
            return
        if created:
            reason = os.strerror(created - 1)
            raise CaptureError(
                f"Process {pid} could not start the thread that a capture needs: {reason}.",
                advice="Look at its limits on processes (RLIMIT_NPROC, pids.max) and on memory.",
                pid=pid,
                errno=created - 1,
            )
    raise CaptureError(
        f"Process {pid} did not start the thread that a capture needs within two seconds.",
        advice="It may be stopped, or starved of processor time; it goes on unharmed. Try again.",
        pid=pid,
    )


def _await_end(memory: ProcessMemory, page: int, nonce: int, pid: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    starved_at = time.monotonic() + _STARVED_AFTER
    pause = 0.0002
    while time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(pause * 1.5, 0.01)
        try:
            status = stub.Status.parse(memory.read(page, stub.Status.SIZE))
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise ThreadGone from error
            return  # unmapped: the thread has ended well
        if status.nonce != nonce or status.state == stub.DONE:
            return
        if status.state == stub.FAILED:
            text = memory.read(page + stub.ERROR_TEXT, min(status.error_length, 4000)).decode(
                "utf-8", "replace"
            )
            raise CaptureError(
                f"The script that a capture needs failed inside process {pid}: {text or 'see its standard error'}",
                advice="Nothing of the service was changed; please report this with the text above.",
                pid=pid,
                text=text,
            )
        if status.state == stub.RUNNING and time.monotonic() > starved_at:
            give_precedence(memory, status.pthread)
        if status.state == stub.NOT_INITIALISED:
            raise _NotInitialised(
                f"The Python interpreter in process {pid} is not running (yet, or any more).",
                advice="Try again when the service is up.",
                pid=pid,
            )
        if status.state == stub.EXPIRED:
            raise CaptureError(
                f"Process {pid} waited three seconds for its script: this machine is overloaded.",
                advice="Try again; the service goes on unharmed.",
                pid=pid,
            )
    raise CaptureError(
        f"The script inside process {pid} did not get to run within {patience:g} s: another thread holds the "
        "interpreter's lock (a C call that does not let go of it), or the process is starved.",
        advice="Try again; the service goes on unharmed, and the script gives up by itself.",
        pid=pid,
    )
