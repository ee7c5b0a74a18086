"""Taking a capture: find the way in, take snapshots at their times, watch the process meanwhile, write the bundle."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forensics
from forensics.bundle import Bundle
from forensics.capture import ways
from forensics.capture.link import AgentLink
from forensics.capture.snapshot import write_snapshot
from forensics.errors import CaptureError, ForensicsError, TargetError

VALUES = ("masked", "full", "none")

#: progress(stage, done, total): total 0 where it is not known before.
Progress = Callable[[str, float, float], None]


def no_progress(stage: str, done: float, total: float) -> None:
    """The default: say nothing."""


def capture(
    target: int | str,
    *,
    to: str | os.PathLike[str] | None = None,
    snapshots: int = 1,
    every: float = 5.0,
    values: str = "masked",
    via: str = "auto",
    walker: str = "auto",
    progress: Progress = no_progress,
) -> Path:
    """Capture a live process into a new folder and return the folder.

    Parameters
    ----------
    target : the process id
    to : the folder to make; by default ``capture-PID-TIME`` in the working directory
    snapshots : how many object graphs to take
    every : seconds from the start of one snapshot to the start of the next
    values : "masked" (default), "full" or "none"; see ``forensics.capture.masking``
    via : "auto", or one way in by name; see ``forensics targets``
    walker : "auto", "native" or "python"

    Raises
    ------
    TargetError, CaptureError, BundleError : with what to do; a folder without a single whole snapshot is removed.
    """
    pid = _pid(target)
    if values not in VALUES:
        raise CaptureError(f"--values {values!r} is not one of {', '.join(VALUES)}.")
    if snapshots < 1:
        raise CaptureError(f"--snapshots {snapshots} is not at least 1.")
    link = ways.enter(pid, via)
    name = to if to is not None else f"capture-{pid}-{time.strftime('%Y%m%d-%H%M%S')}"
    bundle = Bundle.create(name, **_manifest(link, values))
    try:
        _take(bundle, link, snapshots, every, values, walker, progress)
    except BaseException as error:
        _leave_what_is_whole(bundle, error)
        raise
    return bundle.folder


def _pid(target: int | str) -> int:
    try:
        return int(target)
    except ValueError:
        raise TargetError(
            f"{target!r} is not a process id.", advice="`forensics targets` lists what can be captured here."
        ) from None


def _manifest(link: AgentLink, values: str) -> dict[str, Any]:
    about = link.request("ping")
    return {
        "tool": f"dynamodb-memory-forensics {forensics.__version__}",
        "runtime": "python",
        "runtime_version": about.get("version"),
        "pid": link.pid,
        "command_line": _command_line(link.pid),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "taken_at": time.time(),
        "taken_with": f"Python {sys.version.split()[0]}",
        "via": link.via,
        "values": values,
        "snapshots": [],
    }


def _command_line(pid: int) -> list[str]:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode("utf-8", "replace") for part in raw.split(b"\0") if part]


def _take(
    bundle: Bundle, link: AgentLink, count: int, every: float, values: str, walker: str, progress: Progress
) -> None:
    begin = time.monotonic()
    key = secrets.token_bytes(16)
    for number in range(count):
        _wait_until(begin + number * every, progress)
        _snapshot(bundle, link, number, count, values, walker, key, progress)
    bundle.update(complete=True)


def _wait_until(moment: float, progress: Progress) -> None:
    begin = time.monotonic()
    while (left := moment - time.monotonic()) > 0:
        progress("waiting", time.monotonic() - begin, moment - begin)
        time.sleep(min(left, 0.2))


def _snapshot(
    bundle: Bundle,
    link: AgentLink,
    number: int,
    count: int,
    values: str,
    walker: str,
    key: bytes,
    progress: Progress,
) -> None:
    taken_at = time.time()
    stage = f"snapshot {number + 1} of {count}"
    raw, cost = link.snapshot(
        keep_values=values == "full",
        hash_key=key,
        walker=walker,
        values=values != "none",
        progress=lambda objects: progress(stage, objects, 0),
    )
    name = f"snapshots/{number:03d}"
    with bundle.new_folder(name) as folder:
        facts = write_snapshot(raw, folder, values=values, meta={"taken_at": taken_at, "cost": cost})
    entry = {"name": name, "taken_at": taken_at, **cost, **facts}
    bundle.update(snapshots=[*bundle.manifest["snapshots"], entry])


def _leave_what_is_whole(bundle: Bundle, error: BaseException) -> None:
    """Nothing half-written stays: without one whole snapshot the folder goes, otherwise the manifest says why."""
    if not bundle.manifest["snapshots"]:
        shutil.rmtree(bundle.folder, ignore_errors=True)
        return
    done = len(bundle.manifest["snapshots"])
    reason = error.message if isinstance(error, ForensicsError) else type(error).__name__
    bundle.update(cut_short=reason)
    if isinstance(error, ForensicsError):
        readable = f"{done} whole snapshot{'s' if done > 1 else ''} can be read in {bundle.folder}."
        error.advice = f"{readable} {error.advice or ''}".strip()
