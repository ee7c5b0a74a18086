"""What a rule may look at: the graphs and tables of one capture, and nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from forensics.heap.graph import HeapGraph


@dataclass(frozen=True, eq=False)
class Evidence:
    """One capture as the rules see it.

    Attributes
    ----------
    name : what the capture is called
    folder : the path by which it was opened, as it was given, for commands in the evidence; None for the name
    runtime : python, node, go, rust
    snapshots : object graphs, oldest first; may be lazy
    times : seconds since the epoch, one for each snapshot
    process, responses, sources : the tables of the capture, None where it has none
    profiles : allocation profiles, oldest first
    profile_times : seconds since the epoch, one for each profile; empty where the capture does not say
    goroutines : Go's goroutines (see ``forensics.formats.pprof.load_goroutines``), oldest first
    rates : what Go allocated in some seconds (see ``forensics.formats.pprof.load_rates``), oldest first
    references : what leads to what in a Go process, as grf walked it, or None
    goroutine_text : what ``goroutine?debug=2`` wrote last
    manifest : the capture's manifest
    """

    name: str
    runtime: str = "python"
    snapshots: Sequence[HeapGraph] = ()
    times: Sequence[float] = ()
    process: pd.DataFrame | None = None
    responses: pd.DataFrame | None = None
    sources: pd.DataFrame | None = None
    profiles: Sequence[Any] = ()
    profile_times: Sequence[float] = ()
    goroutines: Sequence[Any] = ()
    goroutine_text: str | None = None
    rates: Sequence[Any] = ()
    references: Any = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None

    def command(self, verb: str, *words: str) -> str:
        """``check: forensics VERB CAPTURE …``, to be pasted into a shell where this one was opened."""
        folder = self.folder or self.name
        folder = f"./{folder}" if folder.startswith("-") else folder
        return f"check: {shlex.join(('forensics', verb, folder, *words))}"

    def seconds(self) -> list[float]:
        """Times of the snapshots from the first on; counted one a second where the capture has no clock."""
        times = [float(each) for each in self.times]
        if len(times) != len(self.snapshots) or (len(times) > 1 and times[-1] <= times[0]):
            times = [float(position) for position in range(len(self.snapshots))]
        return [each - times[0] for each in times]

    def profile_seconds(self) -> list[float]:
        """Times of the profiles from the first on; empty where neither capture nor profiles have a clock."""
        times: list[Any] = list(self.profile_times) or [each.origin.start for each in self.profiles]
        if len(times) != len(self.profiles) or None in times or (len(times) > 1 and times[-1] <= times[0]):
            return []
        return [float(each) - float(times[0]) for each in times]

    def responses_of(self, snapshot: int) -> pd.DataFrame | None:
        """The tracer's notes of what was held in one snapshot (0 the first).

        The tracer is asked once the snapshot is taken: what came after it is not in the graph. And where a response
        that it remembers as released lay, something else may lie by now.
        """
        noted = self.responses
        if noted is None:
            return None
        if "snapshot" in noted:
            noted = noted[noted["snapshot"] == snapshot]
        if "held" in noted:
            noted = noted[noted["held"].astype(bool)]
        taken = self.snapshots[snapshot].meta.get("time") if self.snapshots else None
        return noted[noted["time"] <= float(taken)] if taken and "time" in noted else noted

    def memory_limit(self) -> int | None:
        """The memory limit of the service's cgroup in bytes, None where there is none."""
        candidates: list[Any] = []
        if self.process is not None and "cgroup_limit" in self.process:
            candidates += self.process["cgroup_limit"].dropna().tolist()[-1:]
        candidates += [graph.meta.get("memory_limit") for graph in list(self.snapshots)[-1:]]
        known = [int(each) for each in candidates if each and 0 < float(each) < 1 << 60]
        return known[0] if known else None

    def resident_bytes(self) -> int | None:
        """The resident set at the end of the capture, bytes."""
        if self.process is None or "rss" not in self.process or not len(self.process):
            return None
        return int(self.process["rss"].iloc[-1])

    def undisturbed_resident_bytes(self) -> int | None:
        """The resident set without what the capture added: V8 takes memory for a snapshot, and keeps it."""
        counters = self.manifest.get("counters") or {}
        if self.runtime == "node" and len(self.snapshots) and counters.get("rss"):
            return int(counters["rss"])
        return self.resident_bytes()
