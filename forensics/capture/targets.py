"""What runs here that can be captured, and how: one record for each process, with its ways in and what they cost."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import psutil

from forensics.capture import command, endpoint, guard, rights, ways
from forensics.capture.node import cost as node_cost
from forensics.capture.node.cost import SnapshotCost
from forensics.capture.runtimes import Runtime, runtime_of
from forensics.capture.startup import await_libraries
from forensics.capture.table import duration, html_table, size, text_table
from forensics.capture.ways import Way
from forensics.errors import TargetError
from forensics.tables import fold_lines, terminal_width

if TYPE_CHECKING:
    import pandas as pd

#: how another runtime is captured
OTHER_RUNTIMES = {
    "node": "its DevTools protocol: `forensics capture PID` opens the inspector with SIGUSR1",
    "go": "its pprof endpoint: `forensics capture http://HOST:PORT/debug/pprof`; it listens on none that serves one",
    "rust": "`forensics capture PID` asks the sockets it listens on for a profile; or `forensics import` of a jemalloc "
    "or dhat profile",
}
#: … in the few words that a table has room for; the sentences stand below it
_OTHERS_IN_SHORT = {"go": "serves no pprof", "rust": "pprof, if served"}
#: A terminal of fewer columns has no room for what a snapshot would cost, which ``--dry-run`` foretells too.
_WIDE = 120
#: command lines that make a process of Python's own, not a worker
_HELPERS = (
    "multiprocessing.resource_tracker",
    "multiprocessing.semaphore_tracker",
    "multiprocessing.forkserver",
)


@dataclass(frozen=True)
class Target:
    """A process. Bytes and seconds; ``pause_seconds`` and ``extra_bytes`` are foretold for one snapshot."""

    pid: int
    parent: int
    name: str
    command_line: tuple[str, ...]
    user: str
    runtime: str  # python, node, go, rust
    version: str
    library: str  # the interpreter's library, a path of the target's own
    rss: int
    uptime: float
    container: str  # namespaces of its own
    ways: tuple[Way, ...] = ()
    pause_seconds: float | None = None
    extra_bytes: int | None = None
    workers: tuple[int, ...] = ()  # its children of the same program
    master: int | None = None  # the process whose worker it is
    endpoint: str | None = None  # URL of its pprof endpoint, where it serves an index of it (Go)
    ports: tuple[int, ...] = ()  # the TCP ports it listens on

    @property
    def command(self) -> str:
        """The command line in short: module, script or binary with its arguments; what looks like a secret masked."""
        return command.in_short(self.command_line, self.name)

    @property
    def open_ways(self) -> tuple[str, ...]:
        """Names of the ways in, in the order in which they are tried."""
        return tuple(way.name for way in self.ways if way.open)

    @property
    def role(self) -> str:
        """ "master of 4", "worker of 123", or nothing."""
        if self.workers:
            return f"master of {len(self.workers)}"
        return f"worker of {self.master}" if self.master else ""

    @property
    def how(self) -> str:
        """How to capture it, or why it cannot be."""
        if self.endpoint:
            return f"pprof at {self.endpoint}"
        if self.runtime not in ("python", "node"):
            return OTHER_RUNTIMES.get(self.runtime, "no way in")
        if self.open_ways:
            return ", ".join(self.open_ways)
        return "closed: " + "; ".join(f"{way.name}: {way.reason}" for way in self.ways if way.name != "gdb")

    @property
    def how_in_short(self) -> str:
        """The same in few words."""
        short = None if self.endpoint else _OTHERS_IN_SHORT.get(self.runtime)
        return short or self.how

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON needs them."""
        derived = {"open_ways": list(self.open_ways), "role": self.role, "command": self.command}
        return {**dataclasses.asdict(self), **derived}


@dataclass(frozen=True)
class Targets(Sequence[Target]):
    """What can be captured here, largest first."""

    items: tuple[Target, ...]
    hidden: int = 0  # processes that may not be looked at

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Target: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Target]: ...
    def __getitem__(self, index: int | slice) -> Target | Sequence[Target]:
        return self.items[index]

    def __iter__(self) -> Iterator[Target]:
        return iter(self.items)

    def __str__(self) -> str:
        if not self.items:
            return "\n".join(["Nothing that runs here can be captured.", *self._notes()])
        right = frozenset({"PID", "RSS", "uptime", "pause", "extra"})
        narrow = (terminal_width() or _WIDE) < _WIDE
        shown = [k for k, name in enumerate(_COLUMNS) if not (narrow and name in ("pause", "extra"))]
        rows = [[row[k] for k in shown] for row in self._rows()]
        table = text_table([_COLUMNS[k] for k in shown], rows, right=right)
        return "\n".join([table, *map(fold_lines, self._notes())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, self._rows(), caption=" ".join([f"{len(self)} targets.", *self._notes()]))

    def to_pandas(self) -> pd.DataFrame:
        """One row for each target; ``closed`` says what closes each closed way."""
        import pandas as pd

        rows = []
        for target in self.items:
            row = target.to_dict()
            closed = "; ".join(f"{way.name}: {way.reason}" for way in target.ways if not way.open)
            row |= {"ways": ", ".join(target.open_ways), "closed": closed, "how": target.how}
            row |= {"workers": list(target.workers), "command_line": " ".join(target.command_line)}
            rows.append(row)
        columns = [
            *(field.name for field in dataclasses.fields(Target)),
            "open_ways",
            "role",
            "command",
            "closed",
            "how",
        ]
        return pd.DataFrame(rows, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON needs them."""
        return {"targets": [target.to_dict() for target in self.items], "hidden": self.hidden}

    def _rows(self) -> list[list[str]]:
        return [
            [
                str(target.pid),
                f"{target.command}; {target.role}" if target.role else target.command,
                ", ".join(map(str, target.ports)),
                f"{target.runtime} {target.version}",
                size(target.rss),
                duration(target.uptime),
                target.how_in_short,
                "" if target.pause_seconds is None else duration(target.pause_seconds),
                "" if target.extra_bytes is None else size(target.extra_bytes),
            ]
            for target in self.items
        ]

    def _notes(self) -> list[str]:
        """What stands below the table."""
        spoken = {target.runtime for target in self.items if target.how_in_short != target.how}
        notes = [f"{runtime.capitalize()}: {OTHER_RUNTIMES[runtime]}." for runtime in sorted(spoken)]
        if self.hidden:
            notes.append(f"{self.hidden} processes of other users may not be looked at; root may.")
        return notes


_COLUMNS = ("PID", "command", "ports", "runtime", "RSS", "uptime", "ways in", "pause", "extra")


def targets() -> Targets:
    """Every process here that can be captured, with the ways into it; takes a few milliseconds for each."""
    found, hidden = [], 0
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            runtime = runtime_of(process.pid)
        except PermissionError:
            hidden += process.pid > 2
            continue
        except OSError:  # ended, or a thread of the kernel
            continue
        if runtime.name == "other":
            continue
        with contextlib.suppress(psutil.Error, OSError):
            found.append(_target(process, runtime))
    linked = [_with_endpoint(each) for each in _link_workers(found)]
    return Targets(tuple(sorted(linked, key=lambda target: -target.rss)), hidden)


def inspect(pid: int) -> Target:
    """The process ``pid``, which must be one of Python.

    Raises
    ------
    TargetError : there is no such process, it is not ours, or it is of another runtime; says what to do.
    """
    target = look_at(pid)
    if target.runtime == "python":
        return target
    how = OTHER_RUNTIMES.get(target.runtime)
    what = f"it is a {target.runtime.capitalize()} process" if how else "nor one of Node, Go or Rust"
    raise TargetError(
        f"Process {pid} ({target.name}) is not a Python process, {what}.",
        advice=f"It is captured through {how}."
        if how
        else "`forensics targets` lists what can be captured here.",
        pid=pid,
        runtime=target.runtime,
    )


def look_at(pid: int) -> Target:
    """The process ``pid``, of whatever runtime ("other" where none is known).

    One of Python that is just starting is waited for.

    Raises
    ------
    TargetError : there is no such process, it has ended, it is not ours, or it does not come up.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise psutil.NoSuchProcess(pid)
        runtime = runtime_of(pid)
        if (
            runtime.name == "python"
        ):  # of the others, some use the loader and no C library ever: Go's -buildmode=pie
            await_libraries(pid)
            runtime = runtime_of(pid)
        target = _target(process, runtime)
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError, ValueError, OverflowError):
        raise TargetError(
            f"There is no process {pid} here.",
            advice="`forensics targets` lists what can be captured; one in a container shows on its host.",
            pid=pid,
        ) from None
    except (psutil.AccessDenied, PermissionError):
        raise TargetError(
            f"Process {pid} ({_name(pid)}) is closed to us: {rights.why_closed(pid) or 'it may not be looked at'}.",
            advice=rights.advice(),
            pid=pid,
        ) from None
    return dataclasses.replace(target, workers=tuple(child.pid for child in workers_of(pid)))


def _with_endpoint(target: Target) -> Target:
    """A Go process with its pprof endpoint: each socket it listens on is asked once for pprof's index, no profile."""
    if target.runtime != "go":
        return target
    found = endpoint.of_process(target.pid, index_only=True)
    return dataclasses.replace(target, endpoint=found.url) if found else target


def workers_of(pid: int) -> list[psutil.Process]:
    """The workers of a master process: its children that run the same program; empty where it has none."""
    try:
        process = psutil.Process(pid)
        executable = os.readlink(f"/proc/{pid}/exe")
        return [child for child in process.children() if _is_worker(child, executable)]
    except (psutil.Error, OSError):
        return []


def _is_worker(process: psutil.Process, executable: str) -> bool:
    try:
        command = " ".join(process.cmdline())
        same = os.readlink(f"/proc/{process.pid}/exe") == executable
        return same and not any(helper in command for helper in _HELPERS) and process.status() != "zombie"
    except (psutil.Error, OSError):
        return False


def _target(process: psutil.Process, runtime: Runtime) -> Target:
    pid = process.pid
    with process.oneshot():
        memory = guard.memory_of(pid)
        cost: guard.Cost | SnapshotCost | None = None
        if runtime.name == "python":
            cost = guard.foretell(memory, native=True)
        elif runtime.name == "node":
            cost = node_cost.foretell(node_cost.heap_of(pid))
        return Target(
            pid=pid,
            parent=process.ppid(),
            name=process.name(),
            command_line=tuple(process.cmdline()),
            user=process.username(),
            runtime=runtime.name,
            version=runtime.version,
            library=runtime.library,
            rss=memory.resident,
            uptime=time.time() - process.create_time(),
            container=rights.container(pid),
            ways=ways.ways_into(pid, runtime),
            pause_seconds=cost.pause_seconds if cost else None,
            extra_bytes=cost.extra_bytes if cost else None,
            ports=tuple(sorted({port for _, port in endpoint.listening(pid)})),
        )


def _link_workers(found: list[Target]) -> list[Target]:
    by_pid = {target.pid: target for target in found}
    masters: dict[int, list[int]] = {}
    for target in found:
        parent = by_pid.get(target.parent)
        helper = any(name in " ".join(target.command_line) for name in _HELPERS)
        if parent and not helper and (parent.runtime, parent.library) == (target.runtime, target.library):
            masters.setdefault(parent.pid, []).append(target.pid)
    worker_of = {worker: master for master, workers in masters.items() for worker in workers}
    return [
        dataclasses.replace(
            target, workers=tuple(masters.get(target.pid, ())), master=worker_of.get(target.pid)
        )
        for target in found
    ]


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "?"
