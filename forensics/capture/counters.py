"""Counters of a process over time: memory, faults, collector, threads, descriptors, sockets, the C allocator.

They tell live objects from an allocator's high-water mark: where ``malloc_in_use`` falls and ``rss`` does not, the
heap is fragmented and nothing leaks. Memory comes from /proc (``smaps_rollup`` for PSS and USS), limits from the
control groups, the collector's and the allocator's counts from the agent, where one is there, requests from the
service's own metrics, where they are named.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from forensics import arrow
from forensics.capture import rights
from forensics.capture.cgroup import memory_group
from forensics.capture.table import duration, html_table, size, text_table
from forensics.errors import ForensicsError, TargetError

if TYPE_CHECKING:
    import pandas as pd

    from forensics.capture.link import AgentLink
    from forensics.capture.request_counter import RequestCounter

#: an agent that is busy with a snapshot must not hold up the sampling, seconds
_AGENT_PATIENCE = 0.5


@dataclass(frozen=True)
class Sample:
    """One moment. Sizes in bytes; None where it cannot be known."""

    time: float  # seconds since the epoch
    rss: int
    pss: int | None
    uss: int | None
    cgroup_usage: int | None
    cgroup_limit: int | None
    minor_faults: int
    major_faults: int
    threads: int
    descriptors: int
    sockets_established: int
    sockets_other: int
    gc_collections_0: int | None
    gc_collections_1: int | None
    gc_collections_2: int | None
    gc_uncollectable: int | None
    malloc_in_use: int | None
    malloc_free: int | None
    python_blocks: int | None  # given out by the interpreter's own allocator, 512 bytes each at most
    requests: int | None = None  # served since the service began, where a counter was given
    cpu_seconds: float | None = None  # processor time of all threads since the process began


_SECONDS = ("time", "cpu_seconds")
#: the columns of ``process.parquet``
SCHEMA = pa.schema(
    [(field.name, pa.float64() if field.name in _SECONDS else pa.int64()) for field in fields(Sample)]
)


@dataclass(frozen=True)
class Series:
    """Samples of one process in the order of time; ``ended`` says that the process ended meanwhile."""

    pid: int
    samples: tuple[Sample, ...]
    ended: bool = False

    def __len__(self) -> int:
        return len(self.samples)

    def to_table(self) -> pa.Table:
        """An Arrow table with ``SCHEMA``."""
        return arrow.table(
            {name: [getattr(each, name) for each in self.samples] for name in SCHEMA.names}, SCHEMA
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row for each sample, whole numbers that may be missing as ``Int64``."""
        import pandas as pd

        nullable = {pa.int64(): pd.Int64Dtype()}
        return self.to_table().to_pandas(types_mapper=nullable.get)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write ``process.parquet``."""
        pq.write_table(self.to_table(), path, compression="zstd")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON needs them."""
        return {"pid": self.pid, "ended": self.ended, "samples": [asdict(sample) for sample in self.samples]}

    def __str__(self) -> str:
        return (
            text_table(("counter", "first", "last", "least", "most"), self._rows())
            if self.samples
            else "no samples"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        spent = self.samples[-1].time - self.samples[0].time if self.samples else 0.0
        caption = (
            f"process {self.pid}: {len(self)} samples in {duration(spent)}{', then it ended' * self.ended}"
        )
        return html_table(("counter", "first", "last", "least", "most"), self._rows(), caption=caption)

    def _rows(self) -> list[list[str]]:
        rows = []
        for field in fields(Sample)[1:]:
            values = [getattr(sample, field.name) for sample in self.samples]
            known = [value for value in values if value is not None]
            if known:
                shown = size if field.name in _SIZES else duration if field.name in _SECONDS else str
                rows.append(
                    [field.name, *(shown(each) for each in (known[0], known[-1], min(known), max(known)))]
                )
        return rows


_SIZES = {"rss", "pss", "uss", "cgroup_usage", "cgroup_limit", "malloc_in_use", "malloc_free"}


def sample(pid: int, link: AgentLink | None = None, requests: RequestCounter | None = None) -> Sample:
    """The counters of process ``pid`` now; the collector's and the allocator's only with a ``link`` to its agent.

    ``requests`` is the service's own counter of requests, where it has one.

    Raises
    ------
    TargetError : the process is gone, or not ours.
    """
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(pid)
            minor, major = _faults(pid)
            established, other = _sockets(process)
            group = memory_group(pid)
            return Sample(
                time=time.time(),
                rss=process.memory_info().rss,
                **_shares(pid),
                cgroup_usage=group.usage if group else None,
                cgroup_limit=group.limit if group else None,
                minor_faults=minor,
                major_faults=major,
                threads=process.num_threads(),
                descriptors=process.num_fds(),
                sockets_established=established,
                sockets_other=other,
                **_from_agent(link),
                requests=requests.now() if requests is not None else None,
                cpu_seconds=sum(process.cpu_times()[:2]),
            )
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        raise TargetError(
            f"Process {pid} has ended.", advice="`forensics targets` lists what runs now.", pid=pid
        ) from None
    except (psutil.AccessDenied, PermissionError):
        raise TargetError(
            f"The counters of process {pid} may not be read.", advice=rights.advice(), pid=pid
        ) from None


def watch(
    pid: int,
    seconds: float,
    every: float = 1.0,
    *,
    link: AgentLink | None = None,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> Series:
    """Sample process ``pid`` for ``seconds``, once ``every`` so many; ends early if the process does.

    Parameters
    ----------
    progress : called about five times a second with the seconds done and the seconds in all

    Raises
    ------
    TargetError : the process is gone, or not ours, at the very beginning.
    """
    samples = [sample(pid, link)]
    begin = time.monotonic()
    due = every
    while (spent := time.monotonic() - begin) < seconds:
        progress(spent, seconds)
        time.sleep(max(0.0, min(0.2, due - spent, seconds - spent)))
        if time.monotonic() - begin < due:
            continue
        due += every
        try:
            samples.append(sample(pid, link))
        except TargetError:
            return Series(pid, tuple(samples), ended=True)
    progress(seconds, seconds)
    return Series(pid, tuple(samples))


class Watching:
    """Sample a process in the background of a ``with`` block, as long as that takes.

    >>> with Watching(pid, every=0.5, link=link) as watching:    # doctest: +SKIP
    ...     take_snapshots()
    >>> watching.series().write("process.parquet")               # doctest: +SKIP
    """

    def __init__(
        self,
        pid: int,
        every: float = 1.0,
        link: AgentLink | None = None,
        requests: RequestCounter | None = None,
    ) -> None:
        self.pid, self.every, self.link, self.requests = pid, every, link, requests
        self._samples: list[Sample] = []
        self._ended = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forensics-counters", daemon=True)

    def __enter__(self) -> Watching:
        self._samples.append(self._sample())
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(ForensicsError):
            self._samples.append(self._sample())

    def series(self) -> Series:
        """What was sampled so far."""
        return Series(self.pid, tuple(self._samples), ended=self._ended)

    def _sample(self) -> Sample:
        return sample(self.pid, self.link, self.requests)

    def _run(self) -> None:
        due = time.monotonic() + self.every
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due += self.every
            try:
                self._samples.append(self._sample())
            except ForensicsError:
                self._ended = True
                return


def _faults(pid: int) -> tuple[int, int]:
    after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return int(after_name[7]), int(after_name[9])


def _shares(pid: int) -> dict[str, int | None]:
    """PSS and USS; only the owner and root may read them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except PermissionError:
        return {"pss": None, "uss": None}
    found = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
    return {"pss": found.get("Pss"), "uss": found.get("Private_Clean", 0) + found.get("Private_Dirty", 0)}


def _sockets(process: psutil.Process) -> tuple[int, int]:
    try:
        states = Counter(connection.status for connection in process.net_connections(kind="inet"))
    except psutil.AccessDenied:
        return 0, 0
    established = states.pop(psutil.CONN_ESTABLISHED, 0)
    return established, sum(states.values())


def _from_agent(link: AgentLink | None) -> dict[str, int | None]:
    names = ("gc_collections_0", "gc_collections_1", "gc_collections_2", "gc_uncollectable")
    unknown: dict[str, int | None] = dict.fromkeys((*names, "malloc_in_use", "malloc_free", "python_blocks"))
    if link is None:
        return unknown
    try:
        answer = link.request("counters", malloc=True, timeout=_AGENT_PATIENCE)
    except (ForensicsError, OSError):
        return unknown
    malloc = answer.get("malloc") or {}
    collections = [*answer["collections"], None, None, None][:3]
    return {
        **dict(zip(names, collections, strict=False)),
        "gc_uncollectable": answer["uncollectable"],
        "malloc_in_use": malloc.get("in_use"),
        "malloc_free": malloc.get("free"),
        "python_blocks": answer.get("blocks"),
    }
