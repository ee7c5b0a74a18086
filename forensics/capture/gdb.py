"""A debugger as the way in, for machines the injector does not know: only when asked for, and only after a trial.

Debian 12's gdb (13.1) kills what it calls a function in on processors with AMX ("Couldn't write extended state
status"), so the same steps are first done to a throwaway process of our own; if that does not survive, the target is
not touched. The call is made from a breakpoint at the entry of ``PyEval_SaveThread``: the thread that comes there
holds the interpreter's lock and is not inside malloc. The target stands still for about a quarter of a second.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forensics.capture.payload import isolated
from forensics.errors import CaptureError

_PATIENCE = 20.0
_THROWAWAY = "import time\nwhile True: time.sleep(0.01)"
_COMMANDS = """set pagination off
set confirm off
set auto-load off
tbreak PyEval_SaveThread
commands
silent
call (int)PyRun_SimpleString({script})
detach
quit
end
continue
"""


def why_closed() -> str | None:
    """Why there is no debugger to ask for; None where there is one."""
    return None if shutil.which("gdb") else "gdb is not installed"


def load_agent(pid: int) -> None:
    """Start the agent in ``pid`` through gdb; returns before it is up.

    Raises
    ------
    CaptureError : the trial failed (the target was not touched), or gdb did.
    """
    from forensics.capture.remote_exec import script_in_target

    _trial()
    with script_in_target(pid) as path:
        # A file left open would warn, and a warning leaves its mark in the service's __main__.
        _run(pid, isolated(f"with open({path!r}) as file: source = file.read()\nexec(source)").strip())
        time.sleep(0.5)


def _trial() -> None:
    victim = subprocess.Popen([sys.executable, "-c", _THROWAWAY])
    try:
        with tempfile.TemporaryDirectory() as folder:
            mark = Path(folder) / "mark"
            time.sleep(0.3)
            _run(victim.pid, isolated(f"open({str(mark)!r}, 'w').close()").strip())
            time.sleep(0.3)
            survived = victim.poll() is None and mark.exists()
    finally:
        victim.kill()
        victim.wait()
    if not survived:
        raise CaptureError(
            "gdb was tried on a throwaway process, which did not survive or did not run the script; "
            "your process was not touched.",
            advice="Use --via injector or the agent; gdb 13 fails on processors with AMX.",
        )


def _run(pid: int, script: str) -> None:
    quoted = '"' + script.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    with tempfile.NamedTemporaryFile("w", suffix=".gdb") as commands:
        commands.write(_COMMANDS.format(script=quoted))
        commands.flush()
        gdb = subprocess.Popen(
            ["gdb", "-nx", "-batch", "-p", str(pid), "-x", commands.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DEBUGINFOD_URLS": ""},
        )
        try:
            gdb.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            # SIGINT, never SIGKILL: gdb must take its breakpoint out of the target's code.
            gdb.send_signal(signal.SIGINT)
            gdb.wait(_PATIENCE)
            raise CaptureError(
                f"gdb found no thread of process {pid} that runs Python code within {_PATIENCE:g} s.",
                advice="Use --via injector or the agent.",
                pid=pid,
            ) from None
