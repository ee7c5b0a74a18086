"""Taking a capture of a Node process: counters, sampled allocations, heap snapshots, through its inspector."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import forensics
from forensics.bundle import Bundle
from forensics.capture import responses
from forensics.capture.counters import Watching
from forensics.capture.node import sources
from forensics.capture.node.census import census
from forensics.capture.node.cost import require_room
from forensics.capture.node.inspector import entered
from forensics.capture.node.session import PATIENCE, Session
from forensics.capture.pacing import Pace
from forensics.capture.take import Order, command_line, leave_what_is_whole
from forensics.errors import CaptureError
from forensics.formats import heapsnapshot
from forensics.formats.v8.raw import RawHeap

_ABOUT = (
    "({version: process.version, v8: process.versions.v8, pid: process.pid, cwd: process.cwd(), "
    "main: process.argv[1], memory: process.memoryUsage(), uptime: process.uptime()})"
)
#: Bytes between two samples of the allocation sampler; V8's own default is 32 kB.
SAMPLING_INTERVAL = 16_384
VIA = "inspector"


def take(pid: int, folder: str | os.PathLike[str], order: Order) -> Path:
    """Capture Node process ``pid`` into a new ``folder`` and return it; the inspector is left as it was found.

    Raises
    ------
    TargetError, CaptureError, BundleError : with what to do; see ``forensics.capture.take``.
    """
    order.check()
    _refuse_what_is_pythons(order)
    with entered(pid) as session:
        about = session.evaluate(_ABOUT)
        if order.snapshots and not order.census:
            require_room(pid, int(about["memory"]["heapUsed"]))
        bundle = Bundle.create(folder, **_manifest(pid, about, order))
        try:
            _Taking(bundle, session, order, about).run()
        except BaseException as error:
            leave_what_is_whole(bundle, error)
            raise
    return bundle.folder


def _refuse_what_is_pythons(order: Order) -> None:
    if order.via not in ("auto", VIA):
        raise CaptureError(
            f"--via {order.via} is no way into a Node process.", advice=f"There is one: --via {VIA}."
        )
    if order.walker == "python" or order.in_place:
        raise CaptureError(
            "--walker and --in-place are for Python processes; V8 takes its snapshots itself.",
            advice="Leave them out.",
        )


class _Taking:
    """One capture under way."""

    def __init__(self, bundle: Bundle, session: Session, order: Order, about: dict[str, Any]) -> None:
        self.bundle = bundle
        self.session = session
        self.order = order
        self.about = about
        self.key = secrets.token_bytes(16)
        self.count = 0
        self.names: frozenset[str] = frozenset()
        self.noted: list[tuple[int, list[dict[str, Any]]]] = []

    def run(self) -> None:
        with Watching(
            self.session.pid, every=self.order.sample_every, requests=self.order.requests
        ) as watching:
            try:
                if self.order.allocations:
                    self.session.call("HeapProfiler.enable")
                    self.session.call("HeapProfiler.startSampling", {"samplingInterval": SAMPLING_INTERVAL})
                pace = Pace(self.order.progress)
                self._snapshots(pace, watching)
                if self.order.allocations:
                    pace.until(self.order.allocations, "sampling allocations")
                    self._write_sampled()
            finally:
                series = watching.series()
                if len(series):
                    self.bundle.write("process.parquet", series.write)
        responses.keep(self.bundle, self.noted)
        self.bundle.update(complete=True)

    def _snapshots(self, pace: Pace, watching: Watching) -> None:
        trigger = self.order.trigger
        if trigger is not None:
            for reason in pace.when_triggered(trigger, watching, self.order.watch):
                trigger.took(self._picture(0, reason))
            return
        for _ in pace.evenly(self.order.snapshots, self.order.every):
            self._picture(self.order.snapshots)
        pace.until(self.order.watch, "watching")

    def _picture(self, of: int, reason: str | None = None) -> int:
        return self._census(reason) if self.order.census else self._snapshot(of, reason)

    def _census(self, reason: str | None) -> int:
        """Rank the containers; bytes on disk."""
        taken_at = time.time()
        self.order.progress(f"census {self.count + 1}", 0, 0)
        found = census(self.session)
        name = f"census/{self.count:03d}.json"
        file = self.bundle.write(
            name, lambda path: path.write_text(json.dumps([asdict(each) for each in found.containers]))
        )
        facts = {key: value for key, value in vars(found).items() if key != "containers"}
        entry = {"file": name, "taken_at": taken_at, "containers": len(found.containers), **facts}
        if reason is not None:
            entry["reason"] = reason
        self.bundle.update(census=[*self.bundle.manifest.get("census", []), entry])
        self.count += 1
        return file.stat().st_size

    def _snapshot(self, of: int, reason: str | None = None) -> int:
        """Take one; its bytes on disk."""
        heap = int(self.session.evaluate("process.memoryUsage().heapUsed"))
        foretold = require_room(self.session.pid, heap)
        taken_at = time.time()
        stage = f"snapshot {self.count + 1}" + (f" of {of}" if of else "")
        entry: dict[str, Any] = {"name": f"snapshots/{self.count:03d}", "taken_at": taken_at, "walker": "v8"}
        with _in_memory() as file:
            size = 0

            def chunk(message: dict[str, Any]) -> None:
                nonlocal size
                if message["method"] == "HeapProfiler.addHeapSnapshotChunk":
                    size += file.write(message["params"]["chunk"].encode("utf-8", "surrogatepass"))
                    self.order.progress(stage, size, 0)

            began = time.monotonic()
            self.session.call("HeapProfiler.enable")
            self.session.call(
                "HeapProfiler.takeHeapSnapshot",
                {"reportProgress": False, "captureNumericValue": False},
                on_event=chunk,
                patience=PATIENCE + 10 * foretold.pause_seconds,
            )
            entry["pause_seconds"] = round(time.monotonic() - began, 3)
            file.flush()
            if reason is not None:
                entry["reason"] = reason
            with self.bundle.new_folder(entry["name"]) as folder:
                raw = heapsnapshot.read(Path(file.name), folder)
                if not self.count:
                    self._sources(raw)
                self.noted.append((self.count, heapsnapshot.tagged(raw)))
                entry |= heapsnapshot.write(
                    raw,
                    values=self.order.values,
                    key=self.key,
                    known=self.names,
                    meta=self._meta(taken_at, entry["pause_seconds"]),
                )
                written = sum(each.stat().st_size for each in folder.iterdir())
        self.bundle.update(snapshots=[*self.bundle.manifest["snapshots"], entry])
        self.count += 1
        return written

    def _meta(self, taken_at: float, pause: float) -> dict[str, Any]:
        return {
            "runtime": "node",
            "version": str(self.about["version"]).removeprefix("v"),
            "pid": self.session.pid,
            "time": taken_at,
            "taken_at": taken_at,
            "main": self.about.get("main"),
            "cwd": self.about.get("cwd"),
            "cost": {"pause_seconds": pause},
        }

    def _sources(self, snapshot: RawHeap) -> None:
        """Index the program's own files, named by the functions of the first snapshot."""
        table, self.names = sources.index(
            Path(f"/proc/{self.session.pid}/root"), heapsnapshot.script_files(snapshot)
        )
        self.bundle.write("sources.parquet", lambda path: pq.write_table(table, path))

    def _write_sampled(self) -> None:
        profile = self.session.call("HeapProfiler.stopSampling")["profile"]
        name = "allocations/000.heapprofile"
        self.bundle.write(name, lambda path: path.write_text(json.dumps(profile)))
        entry = {
            "file": name,
            "kind": "heapprofile",
            "tool": "V8's sampling heap profiler",
            "runtime": "node",
        }
        self.bundle.update(allocations=[{**entry, "sampling_period": SAMPLING_INTERVAL}])


@contextlib.contextmanager
def _in_memory():
    """A file that lies in memory alone: nothing raw touches a disk."""
    descriptor = os.memfd_create("forensics-heapsnapshot", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=True) as stream:
        yield _Named(stream, f"/proc/self/fd/{descriptor}")


class _Named:
    """A stream and the path by which this process can open the same file."""

    def __init__(self, stream: Any, name: str) -> None:
        self.name = name
        self.write = stream.write
        self.flush = stream.flush


def _manifest(pid: int, about: dict[str, Any], order: Order) -> dict[str, Any]:
    return {
        "tool": f"dynamodb-memory-forensics {forensics.__version__}",
        "runtime": "node",
        "runtime_version": str(about["version"]).removeprefix("v"),
        "pid": pid,
        "command_line": command_line(pid),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "taken_at": time.time(),
        "taken_with": f"Python {sys.version.split()[0]}",
        "via": VIA,
        "values": order.values,
        "counters": about["memory"],
        "snapshots": [],
    }
