"""The verb ``capture``: what a person asks for, turned into orders for one process or for all workers of a master."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from forensics.capture import endpoint as endpoints
from forensics.capture import grf
from forensics.capture.cgroup import memory_group
from forensics.capture.endpoint import Endpoint
from forensics.capture.pacing import Progress, no_progress
from forensics.capture.request_counter import RequestCounter
from forensics.capture.take import Order, take
from forensics.capture.targets import inspect, look_at
from forensics.capture.yielding import yielding
from forensics.errors import CaptureError, TargetError

if TYPE_CHECKING:
    from forensics.growth.triggers import Watch

#: Where --when is given without --watch, the process is watched for so long, seconds.
WATCH_FOR_TRIGGERS = 3600.0
_MASTERS = ("gunicorn", "uvicorn", "hypercorn", "granian")


@yielding()
def capture(
    target: int | str,
    *,
    to: str | os.PathLike[str] | None = None,
    snapshots: int = 1,
    every: float | None = None,
    watch: float = 0.0,
    allocations: float = 0.0,
    when: Sequence[str] = (),
    requests: str | None = None,
    values: str = "masked",
    via: str = "auto",
    walker: str = "auto",
    workers: bool = False,
    in_place: bool = False,
    census: bool = False,
    chains: bool = False,
    progress: Progress = no_progress,
) -> Path | list[Path]:
    """Capture a live process into a new folder and return the folder; with ``workers`` a list of folders.

    Parameters
    ----------
    target : the process id, or the URL of a pprof endpoint (Go, Rust); a Go or Rust process is captured through the
        endpoint that one of its listening sockets serves
    to : the folder to make; by default ``capture-PID-TIME`` in the working directory
    snapshots : how many object graphs to take, or profiles where there is no graph; with ``when`` at most so many
    every : seconds from the end of one snapshot to the start of the next, so that the service always serves so long in
        between, however long a snapshot takes; by default 5, or ``watch`` divided among them
    watch : sample the process's counters for so many seconds at least
    allocations : record allocations with memray inside the process for so many seconds; of a Go service, what its
        endpoint says was allocated in so many whole seconds
    when : conditions such as ``"rss > 80%"`` that trigger snapshots, at most one a minute; the first is taken at once
        as baseline. A percentage is of the memory limit, of the machine's memory where there is none
    requests : ``URL#NAME``, a counter of requests on a page of Prometheus metrics; the series then says how many
        bytes a request leaves behind
    values : "masked" (default), "full" or "none"; see ``forensics.capture.masking``
    via : "auto", or one way in by name; see ``forensics targets``
    walker : "auto", "native" or "python"
    workers : capture every worker of this master process, each into its own folder
    in_place : walk in the process itself instead of a forked child; it stands still meanwhile
    chains : walk the references of a Go process with grf at the end, so that ``forensics chains`` names who holds what;
        **the process stands still meanwhile**, for how long ``forensics.plan`` foretells
    census : rank the large containers of a Node process in small steps, in place of snapshots

    Raises
    ------
    TargetError, CaptureError, BundleError : with what to do; a folder without anything whole in it is removed.
    """
    trigger = _trigger(when, snapshots)
    counter = RequestCounter.parse(requests) if requests is not None else None
    if when and not watch:
        watch = WATCH_FOR_TRIGGERS
    if every is None:
        every = watch / (snapshots - 1) if watch and snapshots > 1 else 5.0
    order = Order(
        snapshots=snapshots,
        every=every,
        watch=watch,
        allocations=allocations,
        values=values,
        via=via,
        walker=walker,
        in_place=in_place,
        census=census,
        trigger=trigger,
        requests=counter,
        progress=progress,
    )
    # Before the process is looked at: what is asked for in vain is so whatever the target is.
    order.check()
    if counter is not None:
        counter.read()
    endpoint, pid = _endpoint(target)
    folder = Path(to if to is not None else f"capture-{pid or 'pprof'}-{time.strftime('%Y%m%d-%H%M%S')}")
    if endpoint is not None:
        _refuse_for_profiles(endpoint, order, workers=workers)
        if chains:
            _refuse_chains(endpoint, pid)
        if counter is not None and pid is None:
            raise CaptureError(
                "--requests is counted beside the process's memory, and the process behind this endpoint is not known.",
                advice="Give the PID where the service runs on this machine; its endpoint is found by itself.",
            )
        from forensics.capture.take_profiles import ProfileOrder, take_profiles

        wanted = ProfileOrder(snapshots, every, watch, pid, allocations, chains, progress, counter)
        return take_profiles(endpoint, folder, wanted)
    assert pid is not None
    runtime = look_at(pid).runtime
    if chains:
        raise CaptureError(
            "--chains walks the references of a Go process, and this is none.",
            advice="Leave it out: the object graph of a Python or Node process has them, see `forensics chains`.",
        )
    if trigger is not None:
        _can_happen(trigger, pid, runtime)
    if workers:
        return _take_workers(pid, folder, order, _way_to_take(runtime))
    if runtime != "node":
        _refuse_master(pid)
    return _way_to_take(runtime)(pid, folder, order)


def _way_to_take(runtime: str) -> Callable[[int, Path, Order], Path]:
    if runtime != "node":
        return take
    from forensics.capture.node.take import take as take_node

    return take_node


def _refuse_for_profiles(endpoint: Endpoint, order: Order, *, workers: bool) -> None:
    """What cannot be had from a pprof endpoint."""
    if workers or order.in_place or order.trigger is not None or order.census:
        raise CaptureError(
            "Of a pprof endpoint profiles are taken; the options --workers, --in-place, --census and --when are "
            "for Python and Node.",
            advice="Leave them out; --snapshots and --every say how many profiles to take and when.",
        )
    if order.allocations and endpoint.runtime != "go":
        raise CaptureError(
            f"{endpoint.url} serves what is live, and not what is allocated meanwhile, as --allocations asks.",
            advice="Leave --allocations out: jemalloc's profiles know live memory alone.",
        )


def _refuse_chains(endpoint: Endpoint, pid: int | None) -> None:
    """Chains that cannot be had; before anything is taken."""
    if endpoint.runtime != "go":
        raise CaptureError(
            f"--chains walks the references of a Go process; behind {endpoint.url} is none.",
            advice="Leave it out; `forensics findings` names the handlers that allocated what stays.",
        )
    if pid is None:
        raise CaptureError(
            f"--chains walks a process of this machine, and which one serves {endpoint.url} is not to be told.",
            advice="Run it where the service runs, with the rights to see its sockets.",
        )
    grf.required()


def _endpoint(target: int | str) -> tuple[Endpoint | None, int | None]:
    """The pprof endpoint to take from, None for a process that is captured from inside, and the process id."""
    try:
        pid = int(target)
    except ValueError:
        endpoint = endpoints.at(str(target))
        return endpoint, endpoints.process_behind(endpoint)
    found = look_at(pid)
    if found.runtime not in endpoints.ADD_AN_ENDPOINT:
        return None, pid
    return endpoints.required(pid, found.name, found.runtime), pid


def _trigger(when: Sequence[str], snapshots: int) -> Watch | None:
    if not when:
        return None
    from forensics.growth.triggers import Bounds, Watch, parse

    bounds = Bounds(snapshots=snapshots) if snapshots > 1 else Bounds()
    return Watch([parse(text) for text in when], bounds)


def _can_happen(trigger: Watch, pid: int, runtime: str) -> None:
    """Give the trigger the limit that percentages are of, and refuse what this process never shows."""
    from forensics.growth.triggers import OF_PYTHON

    vain = [each.text for each in trigger.conditions if each.metric in OF_PYTHON]
    if vain and runtime == "node":
        raise CaptureError(
            f"--when {vain[0]!r} was asked for, and V8's heap is not measured while a Node process is watched.",
            advice="rss and growth are: 'rss > 80%', 'growth > 1MB/min for 5m'.",
            pid=pid,
        )
    with contextlib.suppress(OSError):  # it ended just now, which is told where it is entered
        group = memory_group(pid)
        if group is None or not group.limit:
            # Where no control group limits it, the machine does.
            trigger.limit = float(psutil.virtual_memory().total)


def _take_workers(
    pid: int, folder: Path, order: Order, take_one: Callable[[int, Path, Order], Path]
) -> list[Path]:
    """One after the other: the inspectors of Node's workers would all listen on one port."""
    found = look_at(pid).workers
    if not found:
        raise TargetError(
            f"Process {pid} has no workers.",
            advice="Leave --workers out to capture the process itself.",
            pid=pid,
        )
    if order.trigger is not None:
        raise CaptureError("--when watches one process.", advice=f"Give one worker's PID: {_listed(found)}.")
    if order.requests is not None:
        raise CaptureError(
            "--requests counts what one process served.",
            advice=f"Give one worker's PID ({_listed(found)}) and a counter that is that worker's own.",
        )
    taken: list[Path] = []
    for worker in found:
        order.progress(f"worker {worker}", len(taken), len(found))
        taken.append(take_one(worker, folder / f"worker-{worker}", order))
    return taken


def _refuse_master(pid: int) -> None:
    """A server's master holds no request: its heap would show nothing, and look clean."""
    target = inspect(pid)
    if target.workers and any(name in " ".join(target.command_line).lower() for name in _MASTERS):
        raise TargetError(
            f"Process {pid} is the master of {len(target.workers)} workers; the requests are served, and the memory "
            "is held, in these.",
            advice=f"Capture a worker ({_listed(target.workers)}), or all of them with --workers.",
            pid=pid,
            workers=target.workers,
        )


def _listed(pids: Sequence[int]) -> str:
    return ", ".join(map(str, pids))
