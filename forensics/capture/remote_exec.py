"""``sys.remote_exec`` (PEP 768): the interpreter's own way in, Python 3.14 and later.

Caller and target must be of the same minor version, so the call is made by this interpreter where that fits, and by
the target's own executable otherwise. The script runs in the target's main thread when that next looks at its
signals; it only starts a thread. A main thread that waits in ``Event.wait()`` never looks: then this way fails by
time, and nothing has happened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from forensics.capture.exclusive import exclusive
from forensics.capture.link import AgentLink, inner_pid
from forensics.capture.payload import agent_script
from forensics.capture.rights import container, status
from forensics.errors import CaptureError

FIRST = (3, 14)
_PREFIX = ".forensics-start-"
#: seconds after which nothing waits for a script any more
_FORGOTTEN = 86400.0
#: seconds to wait for another capture that enters a process of the same interpreter
_PATIENCE = 10.0
_CALL = "import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])"


def why_closed(pid: int, version: tuple[int, int]) -> str | None:
    """Why this way is closed for a process of that minor version; None where it is open."""
    if version < FIRST:
        return f"it needs Python 3.14, and this is {version[0]}.{version[1]}"
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "its environment may not be read"
    if any(
        each.startswith(b"PYTHON_DISABLE_REMOTE_DEBUG=") and not each.endswith(b"=") for each in environment
    ):
        return "PYTHON_DISABLE_REMOTE_DEBUG is set in it"
    options = b" ".join(command)
    if b"-X disable-remote-debug" in options or b"-Xdisable-remote-debug" in options:
        return "it was started with -X disable-remote-debug"
    if _caller(pid, version) is None:
        return (
            f"it needs a caller of Python {version[0]}.{version[1]}: we are {sys.version_info[0]}."
            f"{sys.version_info[1]}, and its own executable cannot be run from here"
        )
    return None


def load_agent(pid: int, version: tuple[int, int], ready: Callable[[], None]) -> None:
    """Ask the interpreter of ``pid`` to start the agent, and wait by ``ready`` until it has.

    A process remembers one script, the last it was given: whoever asked before would take the other's agent for its
    own, and remove a file that is still to be read. So they come one after the other, and the second one asks only
    if no agent listens yet.

    Raises
    ------
    CaptureError : the interpreter refused, or somebody else is asking and does not end.
    """
    caller = _caller(pid, version)
    if caller is None:
        raise CaptureError(f"No Python {version[0]}.{version[1]} is here to call sys.remote_exec on {pid}.")
    seen_as = inner_pid(pid) if caller[0].endswith("nsenter") else pid
    with exclusive(pid, time.monotonic() + _PATIENCE):
        if AgentLink(pid).alive():
            return
        # The file must be there until the main thread has read it; the agent's socket says when that was.
        with script_in_target(pid) as path:
            _call([*caller, "-I", "-S", "-c", _CALL, str(seen_as), path], pid)
            ready()


def _call(command: list[str], pid: int) -> None:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=30,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise CaptureError(
            f"sys.remote_exec was refused by process {pid}: {reason[0]}",
            advice="Use --via injector, or see `forensics targets`.",
            pid=pid,
        )


@contextlib.contextmanager
def script_in_target(pid: int) -> Iterator[str]:
    """A file in the target's own /tmp, readable by its user alone, that starts the agent; yields its path there."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=f"/proc/{pid}/root/tmp"))
    except OSError as error:
        raise CaptureError(
            f"No file can be put into /tmp of process {pid}: {error.strerror}.",
            advice="Use --via injector, which needs none.",
            pid=pid,
        ) from error
    script = folder / "start.py"
    try:
        script.write_text(agent_script(in_main_thread=True), encoding="utf-8")
        _give_to_owner(pid, folder, script)
        yield f"/tmp/{folder.name}/{script.name}"
    except CaptureError:
        # The interpreter may come to it yet, and would complain on standard error if the file were gone.
        with contextlib.suppress(OSError):
            script.write_text("")
        raise
    else:
        _remove(folder)
    finally:
        _remove_forgotten(folder.parent)


def _caller(pid: int, version: tuple[int, int]) -> list[str] | None:
    """The command, up to its options, of an interpreter of that version that may call; None where there is none."""
    if sys.version_info[:2] == version and hasattr(sys, "remote_exec"):
        return [sys.executable]
    try:
        executable, root = os.readlink(f"/proc/{pid}/exe"), os.readlink(f"/proc/{pid}/root")
    except OSError:
        return None
    if not _has_root_of_its_own(pid):
        return [executable] if os.access(executable, os.X_OK) else None
    nsenter = shutil.which("nsenter")
    if nsenter is None or os.geteuid() != 0:
        return None
    # Its libraries lie in its own root, and /proc there counts processes as it does.
    inside = executable.removeprefix(root) if root != "/" else executable
    return [nsenter, f"--target={pid}", "--mount", "--pid", "--root", "--wd", "--", inside]


def _has_root_of_its_own(pid: int) -> bool:
    return os.readlink(f"/proc/{pid}/root") != "/" or "mnt" in container(pid)


def _give_to_owner(pid: int, folder: Path, script: Path) -> None:
    """Readable by the service's user alone."""
    user, group = (int(status(pid)[name].split()[1]) for name in ("Uid", "Gid"))
    folder.chmod(0o700)
    script.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(script, user, group)
        os.chown(folder, user, group)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)


def _remove_forgotten(parent: Path) -> None:
    with contextlib.suppress(OSError):
        for folder in parent.glob(_PREFIX + "*"):
            if time.time() - folder.stat().st_mtime > _FORGOTTEN:
                _remove(folder)
