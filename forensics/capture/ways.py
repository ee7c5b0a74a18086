"""The ways into a Python process, in the order in which they are tried: agent, remote_exec, injector; gdb if asked.

Each of them only starts the agent inside the process; from then on all captures talk to it by its socket.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from forensics.capture import gdb, injector, remote_exec, rights
from forensics.capture.link import AgentLink
from forensics.capture.payload import agent_script
from forensics.capture.runtimes import Runtime
from forensics.errors import CaptureError, TargetError

ORDER = ("agent", "remote_exec", "injector")
#: only when asked for by name
ON_REQUEST = ("gdb",)
_OLDEST = (3, 9)
#: seconds for the agent to answer; a main thread that has not run Python code for so long will not soon
_COMES_UP_WITHIN = {"remote_exec": 3.0, "injector": 10.0, "gdb": 10.0}


@dataclass(frozen=True)
class Way:
    """One way into one process: whether it is open, and what closes it."""

    name: str
    open: bool
    reason: str = ""

    def __str__(self) -> str:
        return self.name if self.open else f"{self.name} closed: {self.reason}"


def ways_into(pid: int, runtime: Runtime) -> tuple[Way, ...]:
    """Every way into process ``pid``, in the order in which ``enter`` tries them.

    Nothing of the process is touched, but an agent that listens is asked whether it is there.
    """
    if runtime.name == "node":
        return (_inspector(pid),)
    if runtime.name != "python":
        return ()
    version = minor_version(runtime)
    no_right = rights.why_closed(pid)
    agent = AgentLink(pid)
    alive = os.path.exists(agent.path) and agent.alive()
    too_old = f"it needs Python 3.9, and this is {runtime.version}" if version < _OLDEST else None
    free_threaded = "the free-threaded build was never tried" if runtime.version.endswith("t") else None
    remote = remote_exec.why_closed(pid, version) or no_right
    borrowed = injector.supported() or too_old or free_threaded or no_right
    return (
        Way("agent", alive, "" if alive else "the service does not `import forensics.agent`"),
        Way("remote_exec", remote is None, remote or ""),
        Way("injector", borrowed is None, borrowed or ""),
        Way("gdb", False, gdb.why_closed() or no_right or "only when asked for: --via gdb"),
    )


def _inspector(pid: int) -> Way:
    """The way into a Node process; asked without opening it."""
    from forensics.capture.node.inspector import door

    reason = rights.why_closed(pid) or door(pid).reason
    return Way("inspector", not reason, reason)


def minor_version(runtime: Runtime) -> tuple[int, int]:
    """(3, 11) of "3.11.7"."""
    major, minor, *_ = runtime.version.rstrip("t").split(".")
    return int(major), int(minor)


def enter(pid: int, via: str = "auto") -> AgentLink:
    """A link to the agent in process ``pid``, which is started there first where it is not running yet.

    Parameters
    ----------
    via : "auto" tries agent, remote_exec and injector in this order; otherwise that way and no other

    Raises
    ------
    TargetError : no such process, not one of Python, or every way is closed; ``data["ways"]`` says which and why.
    CaptureError : the last open way failed.
    """
    if via not in ("auto", *ORDER, *ON_REQUEST):
        known = ", ".join(("auto", *ORDER, *ON_REQUEST))
        raise TargetError(f"--via {via!r} is no way in.", advice=f"There are: {known}.")
    runtime = _python_or_error(pid)
    ways = ways_into(pid, runtime)
    wanted = [way for way in ways if (way.name in ORDER if via == "auto" else way.name == via)]
    failures: list[str] = []
    for way in wanted:
        asked_for = way.name in ON_REQUEST and gdb.why_closed() is None and rights.why_closed(pid) is None
        if not way.open and not asked_for:
            failures.append(str(way))
            continue
        try:
            return _enter_by(way.name, pid, runtime)
        except CaptureError as error:
            if way is wanted[-1]:
                raise
            failures.append(f"{way.name} failed: {error.message}")
    raise TargetError(
        f"There is no way into process {pid} (Python {runtime.version}):\n"
        + "\n".join(f"  {failure}" for failure in failures),
        advice=_advice(failures),
        pid=pid,
        ways={way.name: way.reason for way in ways},
    )


def _python_or_error(pid: int) -> Runtime:
    from forensics.capture.targets import inspect

    target = inspect(pid)
    return Runtime(target.runtime, target.version, target.library)


def _enter_by(name: str, pid: int, runtime: Runtime) -> AgentLink:
    link = AgentLink(pid, via=name)
    if name == "agent":
        return link
    if name == "remote_exec":
        remote_exec.load_agent(pid, minor_version(runtime), ready=lambda: _wait_for(link, name))
        return link
    if name == "injector":
        injector.inject(pid, agent_script)
        try:
            _wait_for(link, name)
        except CaptureError:
            # It met the agent of a capture before it, which was there still and went the moment after.
            injector.inject(pid, agent_script)
        else:
            return link
    else:
        gdb.load_agent(pid)
    _wait_for(link, name)
    return link


def _wait_for(link: AgentLink, name: str) -> None:
    patience = _COMES_UP_WITHIN[name]
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if os.path.exists(link.path) and link.alive():
            return
        time.sleep(0.01)
    hint = (
        "Its main thread does not run Python code (it waits in a lock, or in native code): use --via injector."
        if name == "remote_exec"
        else "It may be stopped or starved, or its user may not read its own library or write to its /tmp. Try again."
    )
    raise CaptureError(
        f"The agent that was started in process {link.pid} by {name} did not answer within {patience:g} s.",
        advice=hint,
        pid=link.pid,
    )


def _advice(failures: list[str]) -> str:
    text = " ".join(failures)
    if "CAP_SYS_PTRACE" in text or "root" in text:
        return "Run as root or as the service's user with CAP_SYS_PTRACE, or let the service `import forensics.agent`."
    return "Let the service `import forensics.agent` (it opens one socket and does nothing else)."


__all__ = ["ORDER", "Way", "enter", "minor_version", "ways_into"]
