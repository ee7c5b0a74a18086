"""The inspector of a Node process: found where it listens, opened by SIGUSR1 where it does not, closed again.

Node's own signal handler starts the inspector on SIGUSR1 (src/inspector_agent.cc in nodejs/node). A process without
that handler (``--disable-sigusr1``, or one that was replaced) would be ended by the signal: whether it is caught
is read from ``/proc/PID/status`` before anything is sent.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from forensics.capture.node.session import Session
from forensics.capture.rights import status
from forensics.errors import CaptureError, TargetError

PORT = 9229
#: Seconds for the inspector to listen once the signal was sent; a busy event loop does not delay it.
COMES_UP_WITHIN = 8.0
_INSPECT = re.compile(r"--inspect(?:-brk|-wait|-port)?=(?:([^\s:]*|\[[^\]]*\]):)?(\d+)")
#: The inspector's own ``require`` is there only while this is evaluated: what runs later must not name it, or Node
#: before 20.16 ends with a ReferenceError.
_CLOSE = (
    "(inspector => { setTimeout(() => { try { inspector.close() } catch {} }, 50) })"
    "(process.getBuiltinModule ? process.getBuiltinModule('inspector') : require('inspector'))"
)


@dataclass(frozen=True)
class Door:
    """How a process's inspector stands: its port where it listens; otherwise what keeps it shut, "" if nothing."""

    port: int | None
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether one can get in: it listens, or a signal opens it."""
        return self.port is not None or not self.reason


def door(pid: int) -> Door:
    """How the inspector of process ``pid`` stands. Nothing is sent to the process but a question to its inspector."""
    port = listening_port(pid)
    if port is not None:
        return Door(port)
    return Door(None, _why_shut(pid))


def listening_port(pid: int) -> int | None:
    """The port of 127.0.0.1 on which the inspector of ``pid`` answers, None where it does not listen.

    Only ports that can be the inspector's are asked: 9229 and those of its command line, if the process listens there.
    """
    likely = {PORT, *_configured(pid)}
    for port in sorted(_listening(pid) & likely):
        if _target_url(port) is not None:
            return port
    return None


@contextlib.contextmanager
def entered(pid: int) -> Iterator[Session]:
    """A session with process ``pid``; the inspector is closed afterwards if it was opened for this.

    Raises
    ------
    TargetError : the inspector is shut and cannot be opened, with the reason.
    CaptureError : it did not come up, or broke off.
    """
    found = door(pid)
    if not found.open:
        raise TargetError(
            f"There is no way into process {pid} (Node): {found.reason}.",
            advice="Start it with --inspect=127.0.0.1:0, or without --disable-sigusr1; or let it write a snapshot "
            "(--heapsnapshot-signal=SIGUSR2) and `forensics import` that.",
            pid=pid,
        )
    opened_here = found.port is None
    port = found.port if found.port is not None else _open(pid)
    url = _target_url(port)
    if url is None:
        raise CaptureError(
            f"The inspector of process {pid} listens on port {port} and names no target.",
            advice="Another debugger may hold it; end that one and try again.",
            pid=pid,
        )
    session = Session(url, pid=pid, port=port)
    try:
        yield session
    finally:
        if opened_here:
            with contextlib.suppress(CaptureError):
                session.evaluate(_CLOSE, command_line=True)
        session.close()
        if opened_here:
            _wait_until_shut(pid, port)


def _open(pid: int) -> int:
    before = _listening(pid)
    os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + COMES_UP_WITHIN
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid):
            raise CaptureError(
                f"Process {pid} ended when its inspector was asked for.", advice="See its own log.", pid=pid
            )
        for port in sorted(_listening(pid) - before):
            if _target_url(port) is not None:
                return port
        time.sleep(0.02)
    holder = _who_has(PORT, pid)
    raise CaptureError(
        f"Process {pid} was sent SIGUSR1 and opened no inspector within {COMES_UP_WITHIN:g} s"
        + (f"; port {PORT} is taken by {holder}." if holder else "."),
        advice=f"Free port {PORT}, or start it with --inspect-port=0; a program with a SIGUSR1 handler of its own "
        "must be started with --inspect.",
        pid=pid,
    )


def _wait_until_shut(pid: int, port: int) -> None:
    deadline = time.monotonic() + COMES_UP_WITHIN
    while time.monotonic() < deadline and port in _listening(pid):
        time.sleep(0.02)


def _why_shut(pid: int) -> str:
    facts = status(pid)
    caught = int(facts.get("SigCgt", "0"), 16)
    if not caught >> (signal.SIGUSR1 - 1) & 1:
        return (
            "it does not catch SIGUSR1 (it is just starting, or runs with --disable-sigusr1), "
            "and the signal would end it"
        )
    if os.readlink("/proc/self/ns/net") != os.readlink(f"/proc/{pid}/ns/net"):
        return (
            "it has a network of its own, and its inspector listens on that one's 127.0.0.1; "
            f"run this in its network: nsenter --net=/proc/{pid}/ns/net forensics capture {pid}"
        )
    wanted = _configured(pid) or {PORT}
    for port in wanted - {0}:
        holder = _who_has(port, pid)
        if holder:
            return f"port {port}, on which its inspector would listen, is taken by {holder}"
    if facts.get("State", "").startswith(("T", "t")):
        return "it is stopped"
    return ""


def _configured(pid: int) -> set[int]:
    """Ports that the command line or ``NODE_OPTIONS`` name for the inspector."""
    words = ""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    with contextlib.suppress(OSError):
        for variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if variable.startswith(b"NODE_OPTIONS="):
                words += " " + variable.decode(errors="replace")
    found = {int(port) for _, port in _INSPECT.findall(words)}
    if 0 in found:  # any free port: whatever it listens on may be it
        found |= _listening(pid)
    return found


def _listening(pid: int) -> set[int]:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return set()
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}


def _who_has(port: int, pid: int) -> str:
    for each in psutil.net_connections("tcp"):
        if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid != pid:
            return f"process {each.pid}" if each.pid else "another process"
    return ""


def _target_url(port: int) -> str | None:
    """The WebSocket address of the first target that an inspector on this port names; None where none answers."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=5, trust_env=False)
        targets = answer.json()
        url = targets[0]["webSocketDebuggerUrl"]
    except (httpx.HTTPError, ValueError, LookupError, TypeError):
        return None
    # The address is the answerer's word: only its path is taken.
    path = re.fullmatch(r"ws://[^/]+(/[A-Za-z0-9-]+)", str(url))
    return f"ws://127.0.0.1:{port}{path[1]}" if path else None
