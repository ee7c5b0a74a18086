"""What a capture from a pprof endpoint would do and cost: ``forensics capture URL --dry-run``."""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from forensics.capture import grf
from forensics.capture.endpoint import Endpoint, process_behind
from forensics.capture.table import html_table, size, text_table

if TYPE_CHECKING:
    import pandas as pd

#: A profile of a busy service is some 10 to 500 kB.
_PROFILE_BYTES = 500_000


@dataclass(frozen=True)
class EndpointPlan:
    """What would be fetched, from where, and what the service does for it; bytes."""

    endpoint: Endpoint
    pid: int | None
    rss: int | None
    snapshots: int
    fetched: tuple[str, ...]
    free: int

    @property
    def allowed(self) -> bool:
        """Whether the capture would be taken."""
        return self.free > self.snapshots * _PROFILE_BYTES

    @property
    def chains(self) -> str:
        """What ``--chains`` would do to the process."""
        if self.pid is None:
            return "only where the process runs"
        if grf.find() is None:
            return f"grf is not installed: {grf.INSTALL}"
        return f"grf stops the process for about {grf.foretold(self.pid):.0f} s, by its resident set"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON needs them."""
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        endpoint = {
            "url": self.endpoint.url,
            "runtime": self.endpoint.runtime,
            "profiles": self.endpoint.profiles,
        }
        return {**facts, "endpoint": endpoint, "allowed": self.allowed, "chains": self.chains}

    def to_pandas(self) -> pd.DataFrame:
        """The facts, one a row."""
        import pandas as pd

        return pd.DataFrame(self._facts(), columns=["fact", "value"])

    def __str__(self) -> str:
        facts = text_table(("", ""), self._facts()).strip()
        verdict = "It can be taken." if self.allowed else "It would be refused: the disk is full."
        return f"A capture from {self.endpoint.url}, {self.snapshots} profiles\n{facts}\n\n{verdict} Nothing was taken."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(("", ""), self._facts(), caption=f"A capture from {self.endpoint.url}")

    def _facts(self) -> list[list[str]]:
        costs = (
            "a collection before each profile; the world stops for less than a millisecond"
            if self.endpoint.runtime == "go"
            else "a dump of jemalloc's samples; allocations wait for it some milliseconds"
        )
        return [
            ["runtime", self.endpoint.runtime],
            ["process", "not on this machine, or not to be told" if self.pid is None else str(self.pid)],
            ["resident set", "unknown" if self.rss is None else size(self.rss)],
            ["fetched each time", ", ".join(self.fetched)],
            ["what the service does", costs],
            *([["reference chains (--chains)", self.chains]] if self.endpoint.runtime == "go" else []),
            ["disk, at most about", size(self.snapshots * _PROFILE_BYTES)],
        ]


def plan_endpoint(endpoint: Endpoint, snapshots: int, to: str | os.PathLike[str]) -> EndpointPlan:
    """The plan for an endpoint that answered; it was asked for its index, and for nothing else."""
    pid = process_behind(endpoint)
    folder = Path(to).absolute()
    while not folder.exists():
        folder = folder.parent
    go = endpoint.runtime == "go"
    memory = f"{endpoint.memory}?gc=1" if go else endpoint.memory
    goroutines = ("goroutine",) if "goroutine" in endpoint.profiles else ()
    try:
        resident = psutil.Process(pid).memory_info().rss if pid is not None else None
    except psutil.Error:
        resident = None
    free = shutil.disk_usage(folder).free
    rates = ("allocs?seconds= in between",) if go and snapshots > 1 else ()
    return EndpointPlan(endpoint, pid, resident, snapshots, (memory, *goroutines, *rates), free)
