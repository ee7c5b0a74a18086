"""Taking a capture of one process: enter, take snapshots at their times, watch it meanwhile, write the bundle."""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import forensics
from forensics.bundle import Bundle
from forensics.capture import memray, plan, responses, sources, walkers, ways
from forensics.capture.counters import Watching
from forensics.capture.link import AgentLink
from forensics.capture.pacing import Pace, Progress, Trigger, no_progress
from forensics.capture.request_counter import RequestCounter
from forensics.capture.snapshot import write_snapshot
from forensics.capture.targets import inspect
from forensics.errors import CaptureError, ForensicsError, TargetError, is_interrupt

VALUES = ("masked", "full", "none")
#: Seconds that a recording of allocations waits for each snapshot beyond its time.
SNAPSHOT_PATIENCE = 30.0


@dataclass(frozen=True)
class Order:
    """What to capture of a process; times in seconds, ``every`` from the end of a snapshot to the next one's start."""

    snapshots: int = 1
    every: float = 5.0
    watch: float = 0.0
    allocations: float = 0.0
    values: str = "masked"
    via: str = "auto"
    walker: str = "auto"
    in_place: bool = False
    census: bool = False
    trigger: Trigger | None = None
    requests: RequestCounter | None = None
    sample_every: float = 1.0
    progress: Progress = field(default=no_progress, repr=False)

    @property
    def longest_recording(self) -> float:
        """Seconds that a recording of allocations may last: one that is to see all snapshots waits for slow ones."""
        sees_all = (
            self.snapshots and not self.trigger and (self.snapshots - 1) * self.every <= self.allocations
        )
        return self.allocations + (self.snapshots * SNAPSHOT_PATIENCE if sees_all else 0.0)

    def check(self) -> None:
        """Raise CaptureError for what cannot be done."""
        if self.values not in VALUES:
            raise CaptureError(
                f"--values {self.values!r} is not one of {', '.join(VALUES)}.",
                advice="masked is the default; full keeps the values of the service's data in the capture.",
                values=self.values,
            )
        if self.walker not in ("auto", "native", "python"):
            raise CaptureError(
                f"--walker {self.walker!r} is not one of auto, native, python.",
                advice="auto, the default, takes the native one where it fits the target.",
            )
        if not (self.snapshots or self.watch or self.allocations):
            raise CaptureError(
                "There is nothing to capture: no snapshots, no --watch, no --allocations.",
                advice="Ask for --snapshots 3, for example.",
            )


def take(pid: int, folder: str | os.PathLike[str], order: Order) -> Path:
    """Capture process ``pid`` into a new ``folder`` and return the folder.

    Raises
    ------
    TargetError, CaptureError, BundleError : with what to do. A folder with nothing whole in it is removed; one with
        whole snapshots stays, and its manifest says why it was cut short.
    """
    order.check()
    if order.census:
        raise CaptureError(
            "--census is for Node processes; of Python ones a whole snapshot costs a few milliseconds.",
            advice="Leave it out.",
        )
    choice = _walker(pid, order)
    if order.snapshots:
        plan.require(pid, native=choice.native, in_place=order.in_place)
    with _entered(pid, order.via) as link:
        bundle = Bundle.create(folder, **_manifest(link, order))
        try:
            _Taking(bundle, link, order, choice).run()
        except BaseException as error:
            leave_what_is_whole(bundle, error)
            raise
    return bundle.folder


@contextlib.contextmanager
def _entered(pid: int, via: str) -> Iterator[AgentLink]:
    """A link to an agent that stays for as long as we do. One that is just about to go is entered anew."""
    with contextlib.ExitStack() as stack:
        for left in (2, 1, 0):
            link = ways.enter(pid, via)
            try:
                stack.enter_context(link.staying())
                break
            except (CaptureError, TargetError):
                if not left:
                    raise
        yield link


def _walker(pid: int, order: Order) -> walkers.Choice:
    target = inspect(pid)
    return walkers.choose(pid, ways.Runtime(target.runtime, target.version, target.library), order.walker)


class _Taking:
    """One capture under way."""

    def __init__(self, bundle: Bundle, link: AgentLink, order: Order, choice: walkers.Choice) -> None:
        self.bundle = bundle
        self.link = link
        self.order = order
        self.choice = choice
        self.key = secrets.token_bytes(16)
        self.answers: list[tuple[int, list[dict[str, Any]]]] = []
        self.count = 0
        self.walker_path: str | None = None
        self.pictured = threading.Event()  # the last snapshot is taken, or none will be

    def run(self) -> None:
        self._sources()
        with (
            walkers.delivered(self.link.pid, self.choice) as self.walker_path,
            ThreadPoolExecutor(1) as pool,
            Watching(self.link.pid, self.order.sample_every, self.link, self.order.requests) as watching,
        ):
            recording = self._record_allocations(pool)
            try:
                if self.order.trigger is not None:
                    self._when_triggered(self.order.trigger, watching)
                else:
                    self._at_their_times()
                if recording is not None:
                    recording.result()
            finally:
                self.pictured.set()
                self._write_process(watching)
        if self.answers:
            table = responses.table(self.answers)
            self.bundle.write("responses.parquet", lambda path: pq.write_table(table, path))
        self.bundle.update(complete=True)

    # -- when ------------------------------------------------------------------------------------------------------

    def _at_their_times(self) -> None:
        pace = Pace(self.order.progress)
        for _ in pace.evenly(self.order.snapshots, self.order.every):
            self._snapshot(self.order.snapshots)
        self.pictured.set()
        pace.until(self.order.watch, "watching")

    def _when_triggered(self, trigger: Trigger, watching: Watching) -> None:
        for reason in Pace(self.order.progress).when_triggered(trigger, watching, self.order.watch):
            trigger.took(self._snapshot(0, reason))

    # -- what ------------------------------------------------------------------------------------------------------

    def _snapshot(self, of: int, reason: str | None = None) -> int:
        """Take one; its bytes on disk."""
        if self.count:
            plan.require(self.link.pid, native=self.choice.native, in_place=self.order.in_place)
        taken_at = time.time()
        stage = f"snapshot {self.count + 1}" + (f" of {of}" if of else "")
        raw, cost = self.link.snapshot(
            keep_values=self.order.values == "full",
            hash_key=self.key,
            walker="native" if self.choice.native else "python",
            walker_path=self.walker_path,
            in_place=self.order.in_place,
            progress=lambda objects: self.order.progress(stage, objects, 0),
        )
        entry = {"name": f"snapshots/{self.count:03d}", "taken_at": taken_at, **cost}
        if reason is not None:
            entry["reason"] = reason
        with self.bundle.new_folder(entry["name"]) as folder:
            meta = {"taken_at": taken_at, "cost": cost}
            entry |= write_snapshot(raw, folder, values=self.order.values, meta=meta)
            written = sum(file.stat().st_size for file in folder.iterdir())
        entry["stream_seconds"] = round(time.time() - taken_at, 3)
        self.bundle.update(snapshots=[*self.bundle.manifest["snapshots"], entry])
        traced = self.link.request("responses")
        if traced.get("installed"):
            self.answers.append((self.count, traced["rows"]))
        self.count += 1
        return written

    def _sources(self) -> None:
        answer = self.link.request("modules")
        # A program started as `python app.py` may know itself by that relative name.
        modules = [(name, os.path.join(answer["cwd"], file)) for name, file in answer["modules"]]
        own = sources.started(command_line(self.link.pid))
        table = sources.index(Path(f"/proc/{self.link.pid}/root"), modules, own)
        self.bundle.write("sources.parquet", lambda path: pq.write_table(table, path))

    def _record_allocations(self, pool: ThreadPoolExecutor) -> Future[Path] | None:
        """Begin to record; returns once allocations are seen, so that what the snapshots show to grow is among them."""
        if not self.order.allocations:
            return None
        begun = threading.Event()

        def record() -> Path:
            return self.bundle.write(
                "allocations/000.memray.bin",
                # With an object graph beside it, addresses tell which of its objects came from where.
                lambda path: memray.record(
                    self.link,
                    self.order.allocations,
                    path,
                    addresses=self.order.snapshots > 0,
                    enough=self.pictured.is_set,
                    at_most=self.order.longest_recording,
                    progress=lambda done, total: begun.set(),
                ),
            )

        recording = pool.submit(record)
        recording.add_done_callback(lambda _: begun.set())
        begun.wait()
        if recording.done():
            recording.result()  # it was refused: say so before anything else is taken
        return recording

    def _write_process(self, watching: Watching) -> None:
        series = watching.series()
        if len(series):
            self.bundle.write("process.parquet", series.write)


def _manifest(link: AgentLink, order: Order) -> dict[str, Any]:
    about = link.request("ping")
    return {
        "tool": f"dynamodb-memory-forensics {forensics.__version__}",
        "runtime": "python",
        "runtime_version": about.get("version"),
        "pid": link.pid,
        "command_line": command_line(link.pid),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "taken_at": time.time(),
        "taken_with": f"Python {sys.version.split()[0]}",
        "via": link.via,
        "values": order.values,
        "snapshots": [],
    }


def command_line(pid: int) -> list[str]:
    """The argument vector of a process; empty where it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode("utf-8", "replace") for part in raw.split(b"\0") if part]


def leave_what_is_whole(bundle: Bundle, error: BaseException) -> None:
    """Nothing half-written stays: without one whole snapshot the folder goes, otherwise the manifest says why."""
    if not bundle.manifest["snapshots"]:
        shutil.rmtree(bundle.folder, ignore_errors=True)
        return
    done = len(bundle.manifest["snapshots"])
    reason = error.message if isinstance(error, ForensicsError) else type(error).__name__
    if is_interrupt(error):
        reason = KeyboardInterrupt.__name__
    bundle.update(cut_short=reason)
    if isinstance(error, ForensicsError):
        readable = f"{done} whole snapshot{'s' if done > 1 else ''} can be read in {bundle.folder}."
        error.advice = f"{readable} {error.advice or ''}".strip()
