"""grf, which walks the references of a Go process: found, foretold, run within bounds.

grf (github.com/cloudwego/goref) attaches as a debugger does, and the process stands still for as long as it walks: so
it runs only where that was asked for, after it was said for how long.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from forensics.capture.pacing import Progress, no_progress
from forensics.errors import CaptureError

#: The release whose output was read when this was written.
VERSION = "v0.0.11"
INSTALL = f"go install github.com/cloudwego/goref/cmd/grf@{VERSION}"
#: Bytes of resident set that grf walks in a second at least (31 s for 174 MB, 3 s for 47 MB); seconds before it begins.
_BYTES_A_SECOND, _BEGINS_AFTER = 5.6e6, 2.0
#: It is stopped when it took so many times what was foretold, and not before a minute.
_PATIENCE, _AT_LEAST = 4.0, 60.0
_OUT_OF_A_CORE = (
    "Or walk a core dump, which stops the process only while it is written: gcore -o core PID; "
    "grf core EXECUTABLE core.PID -o grf.out; forensics import grf.out --to DIR."
)


def find() -> str | None:
    """The path of grf: on PATH, or where ``go install`` puts it."""
    on_path = shutil.which("grf")
    if on_path:
        return on_path
    folders = [os.environ.get("GOBIN"), *(f"{each}/bin" for each in _gopaths())]
    return next((found for each in folders if each and (found := shutil.which("grf", path=each))), None)


def required() -> str:
    """The path of grf; raises CaptureError with the command that installs it."""
    found = find()
    if found is None:
        raise CaptureError(
            "Reference chains of a Go process were asked for, and grf, which walks them, is neither on PATH nor in "
            "GOBIN or GOPATH/bin.",
            advice=f"Install it: {INSTALL}\n{_OUT_OF_A_CORE}",
        )
    return found


def foretold(pid: int) -> float:
    """For how many seconds the process will about stand still, by its resident set."""
    try:
        resident = psutil.Process(pid).memory_info().rss
    except psutil.Error as error:
        raise CaptureError(f"Process {pid} cannot be looked at: {error}.", pid=pid) from error
    return _BEGINS_AFTER + resident / _BYTES_A_SECOND


def walk(pid: int, out: Path, progress: Progress = no_progress) -> float:
    """Write the references of ``pid`` to ``out`` as grf does; the process stands still meanwhile.

    Returns
    -------
    for how long grf ran, seconds

    Raises
    ------
    CaptureError : grf is not there, is not allowed to attach, found no debugging information, or took much longer
        than was foretold; it is ended then, and the process goes on.
    """
    program, expected = required(), foretold(pid)
    patience = max(_AT_LEAST, _PATIENCE * expected)
    began = time.monotonic()
    # the debugger that grf is made of writes a configuration into the home; here into a folder that goes again
    with tempfile.TemporaryDirectory(prefix="forensics-grf-") as home, tempfile.TemporaryFile() as said:
        run = subprocess.Popen(
            [program, "attach", str(pid), "-o", str(out)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            cwd=home,
            env={**os.environ, "XDG_CONFIG_HOME": home},
        )
        try:
            while run.poll() is None:
                took = time.monotonic() - began
                progress(f"grf walks, the process stands still (about {expected:.0f} s)", took, expected)
                if took > patience:
                    raise CaptureError(
                        f"grf was to take about {expected:.0f} s, had not ended after {took:.0f} s and was killed.",
                        advice=_OUT_OF_A_CORE,
                        pid=pid,
                    )
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(0.2)
        finally:
            if run.poll() is None:
                # the kernel lets go of what a debugger held when the debugger ends
                run.kill()
                run.wait()
        said.seek(0)
        words = said.read(4096).decode(errors="replace").strip()
    if run.returncode or not out.exists() or not out.stat().st_size:
        raise CaptureError(
            f"grf attach {pid} ended with exit code {run.returncode}: {words[-600:] or 'no word'}.",
            advice="It needs the right to trace the process (its user or root; kernel.yama.ptrace_scope) and its "
            "debugging information (no -ldflags=-s -w), and knows Go up to the version that its release says.\n"
            + _OUT_OF_A_CORE,
            pid=pid,
        )
    return time.monotonic() - began


def _gopaths() -> list[str]:
    paths = os.environ.get("GOPATH")
    return paths.split(os.pathsep) if paths else [str(Path.home() / "go")]
