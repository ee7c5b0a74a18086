"""Programs that run in any interpreter of the machine, and what must be true of them after they were entered."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

PROGRAMS = Path(__file__).parent / "programs"
OLDEST = (3, 9)


def interpreters() -> dict[str, str]:
    """Every supported CPython of this machine: version -> executable."""
    found = {}
    folders = [
        *glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin")),
        *glob.glob(f"{_unpacked()}/python3.*/bin"),
    ]
    named = [f"python3.{minor}" for minor in range(9, 20)]
    candidates = [sys.executable, "/usr/bin/python3", *named, *(f"{folder}/python3" for folder in folders)]
    for candidate in candidates:
        real = shutil.which(candidate)
        if not real:
            continue
        asked = subprocess.run(
            [real, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
            capture_output=True,
            text=True,
            check=False,
        )
        version = asked.stdout.strip()
        if version and tuple(map(int, version.split(".")[:2])) >= OLDEST:
            found.setdefault(version, real)
    return dict(sorted(found.items(), key=lambda pair: tuple(map(int, pair[0].split(".")))))


def _unpacked() -> Path:
    """Where ``.ci/python3.14`` is told to put what it unpacks."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "dynamodb-memory-forensics"


@dataclass
class Running:
    """A program of ours that works until its flag file appears, then checks itself and says "fine"."""

    process: subprocess.Popen[str]
    flag: Path
    pid: int

    def finish(self, seconds: float = 20.0) -> str:
        """Let it end; what it printed last. Fails if it did not end well."""
        self.flag.touch()
        out, err = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, f"exit {self.process.returncode}: {err}"
        assert err == "", err
        return out.strip().splitlines()[-1]

    def unharmed(self) -> None:
        """It still runs, nobody traces any of its threads, and it is not stopped."""
        assert self.process.poll() is None, self.process.communicate()
        assert Path(f"/proc/{self.pid}/exe").exists()
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                facts = (task / "status").read_text()
            except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                continue
            assert "\nTracerPid:\t0\n" in facts
            assert "\nState:\tt" not in facts, "a thread is left stopped by a tracer"


@contextmanager
def running(
    program: str,
    *arguments: str,
    interpreter: str = sys.executable,
    prefix: Sequence[str] = (),
    flags_in: str | None = None,
) -> Iterator[Running]:
    """Start ``programs/way_<program>.py``; wait until it says that it is ready, and end it whatever happens.

    ``prefix`` is a command that runs it (``unshare …``); ``flags_in`` the folder for the flag file.
    """
    # Not pytest's tmp_path: a target that gives its rights away could not see it.
    folder = Path(tempfile.mkdtemp(prefix="forensics-test-", dir=flags_in))
    folder.chmod(0o755)
    flag = folder / "flag"
    process = subprocess.Popen(
        [*prefix, interpreter, "-I", str(PROGRAMS / f"way_{program}.py"), str(flag), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip() == "ready", (line, process.stderr.read() if process.stderr and not line else "")
        pid = process.pid
        while children := psutil.Process(pid).children() if prefix else []:
            pid = children[0].pid
        yield Running(process, flag, pid)
    finally:
        flag.touch()
        if process.poll() is None:
            process.kill()
        process.wait()
        shutil.rmtree(folder)
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def wait_until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


__all__ = ["Running", "interpreters", "running", "wait_until"]


#: An empty /tmp of its own; the checkout stays where it is, also where that is below /tmp.
_PRIVATE_TMP = """
checkout=$1; mode=$2; shift 2
kept=$(mktemp -d /var/tmp/forensics-kept-XXXXXX)
mount --bind "$checkout" "$kept" && mount -t tmpfs none /tmp || exit 1
case $checkout in /tmp/*) mkdir -p "$checkout" && mount --bind "$kept" "$checkout" ;; esac
umount "$kept" 2>/dev/null; rmdir "$kept"
mount -o remount,$mode /tmp
exec "$@"
"""


def private_tmp_command(mode: str = "rw") -> list[str]:
    """What to put before a command, in a mount namespace, that gives it a /tmp of its own; "ro" to read only."""
    return ["sh", "-c", _PRIVATE_TMP, "sh", str(Path(__file__).parents[2]), mode]
