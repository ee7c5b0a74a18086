"""Taking a capture from a pprof endpoint: profiles at their times, goroutines with them, the process watched meanwhile.

What the service is asked for each time: one memory profile, for Go after a collection (``gc=1``), and its goroutines;
between two of them, for Go, what is allocated meanwhile (``seconds=``). A Go service stands still for a fraction of a
millisecond for these; the collection runs beside it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

import forensics
from forensics.bundle import Bundle
from forensics.capture import grf, statics
from forensics.capture.counters import Watching
from forensics.capture.endpoint import ANSWERS_WITHIN, Endpoint
from forensics.capture.pacing import Pace, Progress, no_progress
from forensics.capture.request_counter import RequestCounter
from forensics.capture.runtimes import runtime_of
from forensics.errors import CaptureError, ForensicsError, FormatError, TargetError
from forensics.formats import pprof, symbols
from forensics.profiles.model import AllocationProfile

#: With more goroutines than this their text, which says who began each, is not asked for: the service writes it all
#: while it stands still.
MOST_GOROUTINES = 10_000
#: Between a ``seconds=`` profile and the next heap profile, seconds: so that this one comes at its time.
_ROOM_BEFORE_THE_NEXT = 0.5


@dataclass(frozen=True)
class ProfileOrder:
    """What to take from an endpoint; times in seconds. ``pid`` is the process behind it, where that is known.

    ``every`` lies between the end of one profile and the beginning of the next.
    ``requests`` is the service's counter of requests, read while that process is watched.
    ``chains``: walk the references with grf at the end, for which the process stands still.
    ``allocations``: note what is allocated for so long, after the last profile; Go alone can say.
    """

    profiles: int = 1
    every: float = 5.0
    watch: float = 0.0
    pid: int | None = None
    allocations: float = 0.0
    chains: bool = False
    progress: Progress = field(default=no_progress, repr=False)
    requests: RequestCounter | None = None


def take_profiles(endpoint: Endpoint, folder: str | os.PathLike[str], order: ProfileOrder) -> Path:
    """Capture what ``endpoint`` serves into a new ``folder``; returns the folder.

    Raises
    ------
    TargetError, CaptureError, BundleError : with what to do. A folder without a whole profile is removed; one with
        some stays, and its manifest says why it was cut short.
    """
    if not order.profiles:
        raise CaptureError(
            "There is nothing to capture: no snapshots.", advice="Ask for --snapshots 3, for example."
        )
    bundle = Bundle.create(folder, **_manifest(endpoint, order))
    try:
        _Taking(bundle, endpoint, order).run()
    except BaseException as error:
        _leave_what_is_whole(bundle, error)
        raise
    return bundle.folder


class _Taking:
    def __init__(self, bundle: Bundle, endpoint: Endpoint, order: ProfileOrder) -> None:
        self.bundle, self.endpoint, self.order = bundle, endpoint, order
        self.entries: list[dict[str, Any]] = []
        self.rates: list[dict[str, Any]] = []

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            watching = None
            if self.order.pid is not None:
                with contextlib.suppress(ForensicsError):
                    watching = stack.enter_context(Watching(self.order.pid, requests=self.order.requests))
            try:
                pace = Pace(self.order.progress)
                for number in pace.evenly(self.order.profiles, self.order.every):
                    self._take(number)
                    pace.taken()
                    if number + 1 < self.order.profiles:
                        self._take_rates(self.order.every - _ROOM_BEFORE_THE_NEXT)
                self._take_rates(self.order.allocations)
                pace.until(self.order.watch, "watching")
                if self.order.chains and self.order.pid is not None:
                    self._take_references(self.order.pid)
            finally:
                if watching is not None and len(series := watching.series()):
                    self.bundle.write("process.parquet", series.write)
        self.bundle.update(complete=True)

    def _take(self, number: int) -> None:
        self.order.progress(f"profile {number + 1}", number, self.order.profiles)
        go = self.endpoint.runtime == "go"
        taken_at = time.time()
        body = self.endpoint.fetch(self.endpoint.memory, "gc=1" if go else "")
        seconds = time.time() - taken_at
        name = f"allocations/{number:03d}.pb.gz"
        with self.bundle.new_file(name) as path:
            path.write_bytes(body)
            profile = pprof.load(path)
            if symbols.needed(profile) and self.order.pid is not None:
                symbolised = symbols.symbolise(path, self.order.pid)
                profile = pprof.load(path)
            else:
                symbolised = None
        entry = {"file": name, "taken_at": taken_at, "seconds": round(seconds, 3), **about(profile)}
        if symbolised:
            entry["symbolised_with"] = symbolised
        if self.endpoint.runtime == "rust" and self.order.pid is not None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                entry["statics"] = statics.as_entries(statics.held_by_statics(self.order.pid))
        self.entries.append(entry)
        self.bundle.update(allocations=self.entries, runtime=profile.origin.runtime)
        if go and "goroutine" in self.endpoint.profiles:
            self._take_goroutines(number, entry)

    def _take_rates(self, seconds: float) -> None:
        """What is allocated in so many whole seconds, where Go serves it; a refusal is noted and not asked again.

        The service is asked for two profiles, at the beginning and at the end, and subtracts them.
        """
        memory = "allocs" if "allocs" in self.endpoint.profiles else self.endpoint.memory
        if self.endpoint.runtime != "go" or seconds < 1 or "rates_refused" in self.bundle.manifest:
            return
        whole = int(seconds)
        self.order.progress(f"allocations of {whole} s", len(self.rates), 0)
        name = f"rates/{len(self.rates):03d}.pb.gz"
        try:
            body = self.endpoint.fetch(memory, f"seconds={whole}", within=whole + ANSWERS_WITHIN)
            with self.bundle.new_file(name) as path:
                path.write_bytes(body)
                profile = pprof.load_rates(path)
        except (CaptureError, TargetError, FormatError) as error:
            # a server with a WriteTimeout answers 400; the profiles themselves do without
            self.bundle.update(rates_refused=error.message)
            return
        ran, allocated = profile.origin.seconds or whole, profile.total("allocated")
        self.rates.append(
            {
                "file": name,
                "taken_at": profile.origin.start,
                "seconds": round(ran, 3),
                "allocated_bytes": allocated,
                # what was allocated since the last collection is not in it yet: nothing is no rate of 0
                "bytes_per_second": round(allocated / ran, 1) if allocated else None,
            }
        )
        self.bundle.update(rates=self.rates)

    def _take_references(self, pid: int) -> None:
        name, taken_at = "references/000.pb.gz", time.time()
        with self.bundle.new_file(name) as path:
            seconds = grf.walk(pid, path, self.order.progress)
            found = pprof.load(path)
        entry = {
            "file": name,
            "tool": "grf",
            "taken_at": taken_at,
            "seconds": round(seconds, 3),
            "bytes": found.total("live"),
        }
        self.bundle.update(references=entry)

    def _take_goroutines(self, number: int, entry: dict[str, Any]) -> None:
        name = f"goroutines/{number:03d}.pb.gz"
        with self.bundle.new_file(name) as path:
            path.write_bytes(self.endpoint.fetch("goroutine"))
            count = int(pprof.load_goroutines(path).by_stack("live")[1].sum())
        entry["goroutines"] = count
        if number == self.order.profiles - 1:
            if count <= MOST_GOROUTINES:
                text = self.endpoint.fetch("goroutine", "debug=2")
                self.bundle.write("goroutines/text.txt", lambda path: path.write_bytes(text))
            if "goroutineleak" in self.endpoint.profiles:
                leaked = self.endpoint.fetch("goroutineleak")
                self.bundle.write("goroutines/leaked.pb.gz", lambda path: path.write_bytes(leaked))
        self.bundle.update(allocations=self.entries)


def about(profile: AllocationProfile) -> dict[str, Any]:
    """What a manifest says of one profile."""
    origin = profile.origin
    return {
        "tool": origin.tool,
        "runtime": origin.runtime,
        "start": origin.start,
        "end": origin.end,
        "complete": origin.complete,
        "sampling_period": origin.sampling_period,
        "bytes": {name: profile.total(name) for name in profile.measures},
        "notes": list(origin.notes),
    }


def _manifest(endpoint: Endpoint, order: ProfileOrder) -> dict[str, Any]:
    facts: dict[str, Any] = {"pid": order.pid, "runtime_version": None, "command_line": []}
    if order.pid is not None:
        with contextlib.suppress(psutil.Error, OSError):
            facts["runtime_version"] = runtime_of(order.pid).version
            facts["command_line"] = psutil.Process(order.pid).cmdline()
    return {
        "tool": f"dynamodb-memory-forensics {forensics.__version__}",
        "runtime": endpoint.runtime,
        **facts,
        "endpoint": endpoint.url,
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "taken_at": time.time(),
        "taken_with": f"Python {sys.version.split()[0]}",
        "via": "pprof",
        "values": "none",
        "snapshots": [],
    }


def _leave_what_is_whole(bundle: Bundle, error: BaseException) -> None:
    done = len(bundle.manifest.get("allocations", []))
    if not done:
        shutil.rmtree(bundle.folder, ignore_errors=True)
        return
    reason = error.message if isinstance(error, ForensicsError) else type(error).__name__
    bundle.update(cut_short=reason)
    if isinstance(error, ForensicsError) and not isinstance(error, FormatError):
        readable = f"{done} whole profile{'s' if done > 1 else ''} can be read in {bundle.folder}."
        error.advice = f"{readable} {error.advice or ''}".strip()
