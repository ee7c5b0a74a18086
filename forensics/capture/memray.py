"""Allocation stacks of a live process: memray's tracker, started and stopped inside it by the agent.

Not memray's own ``attach``, which needs a debugger. The recording ends by itself after the seconds asked for, by a
timer inside the target, whatever becomes of this process; its file waits two minutes to be fetched and goes then.
By default it is aggregated by call stack: nothing is written while it runs. Where it is to be joined with an object
graph it must know the address of each object: then every allocation is written, into a file that has a bound, and it
goes on until the last snapshot is taken. No value of the service is in either.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from forensics.capture.link import AgentLink
from forensics.errors import CaptureError, ForensicsError

#: what the tracker's end and the file's copy may take beyond the seconds asked for
_PATIENCE = 60.0


def record(
    link: AgentLink,
    seconds: float,
    to: Path,
    *,
    native: bool = False,
    addresses: bool = False,
    enough: Callable[[], bool] = lambda: True,
    at_most: float = 0.0,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> Path:
    """Record allocations of the process behind ``link`` for ``seconds`` into the file ``to``; returns ``to``.

    The recording is shorter where a file with addresses reached its bound (256 MiB, or half of the free disk).

    Parameters
    ----------
    native : also the native part of each stack; slower
    addresses : every Python object with its address, for ``forensics.profiles.joined``; slower
    enough : asked once the seconds are over; while it says no the recording goes on, for ``at_most`` seconds in all
    progress : called about five times a second with the seconds done and the seconds in all

    Raises
    ------
    CaptureError : memray cannot be imported there, something records already, or the process ended.
    """
    longest = max(seconds, at_most)
    started = link.request("memray-start", seconds=longest, native=native, addresses=addresses)
    if "refused" in started:
        raise _refusal(link.pid, seconds, started)
    begin = time.monotonic()
    fetched = False
    try:
        while (spent := time.monotonic() - begin) < seconds or (spent < longest and not enough()):
            progress(min(spent, seconds), seconds)
            _still_there(link.pid)
            time.sleep(min(0.2, max(seconds - spent, 0.05)))
        stopped = link.request("memray-stop", timeout=_PATIENCE)
        if "refused" in stopped:
            raise CaptureError(
                f"The recording in process {link.pid} is gone: {stopped['refused']}.", pid=link.pid
            )
        shutil.copyfile(f"/proc/{link.pid}/root{stopped['path']}", to)
        to.chmod(0o600)
        fetched = True
        progress(seconds, seconds)
    finally:
        # Whether it went well or not (^C included), the tracker ends and its file goes.
        with contextlib.suppress(ForensicsError, OSError):
            link.request("memray-stop", remove=True, timeout=_PATIENCE if fetched else 10.0)
    return to


def _still_there(pid: int) -> None:
    if not Path(f"/proc/{pid}/exe").exists():
        raise CaptureError(
            f"Process {pid} ended while its allocations were recorded; nothing was written.",
            advice="Run the program under memray from the outside: memray run --aggregate …",
            pid=pid,
        )


def _refusal(pid: int, seconds: float, answer: dict[str, str]) -> CaptureError:
    kind = answer.get("kind")
    if kind == "not importable":
        return CaptureError(
            f"memray cannot be imported in process {pid} ({answer.get('executable')}): {answer['refused']}.",
            advice=f"Install it there ({answer.get('executable')} -m pip install memray) and ask again, or start the "
            "program under it: memray run --aggregate -o allocations.bin YOUR_PROGRAM, and then "
            "forensics import allocations.bin --to DIR.",
            pid=pid,
        )
    if kind == "busy":
        return CaptureError(
            f"Allocations of process {pid} are being recorded already, by another capture or by memray itself.",
            advice=f"Wait until that ends (a recording of ours ends by itself), then ask again for {seconds:g} s.",
            pid=pid,
        )
    return CaptureError(f"memray refused to record process {pid}: {answer['refused']}.", pid=pid)
