"""``sys.remote_exec``: what closes it, and, where a Python 3.14 is at hand, the way itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import forensics as fx
from forensics.capture import remote_exec, ways
from forensics.errors import CaptureError
from tests.conftest import require
from tests.integration.running import interpreters, running


@pytest.fixture(scope="module")
def newest() -> str:
    """The newest interpreter of this machine that has the way; without one the test skips, or fails in CI."""
    version, path = list(interpreters().items())[-1]
    if tuple(map(int, version.split(".")[:2])) >= remote_exec.FIRST:
        return path
    return require("python3.14", "run .ci/python3.14 ~/.cache/dynamodb-memory-forensics/python3.14")


def asleep(**environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *([environment.pop("option")] if "option" in environment else []), "-c",
         "import time; print(flush=True); time.sleep(60)"],
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"PYTHON_DISABLE_REMOTE_DEBUG": "1"}, "PYTHON_DISABLE_REMOTE_DEBUG is set in it"),
        ({"option": "-Xdisable-remote-debug"}, "it was started with -X disable-remote-debug"),
        ({}, None),
    ],
)
def test_what_closes_it_is_seen_from_outside(settings: dict[str, str], reason: str | None) -> None:
    # The settings are read off the process, whatever its version: the newest one is only claimed.
    with asleep(**settings) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert remote_exec.why_closed(process.pid, (3, 14)) == reason
        finally:
            process.kill()


def test_an_older_python_is_told_which_one_it_needs() -> None:
    assert remote_exec.why_closed(os.getpid(), (3, 13)) == "it needs Python 3.14, and this is 3.13"


def test_it_enters_and_leaves_no_file(newest: str, tmp_path: Path) -> None:
    with running("sleep", interpreter=newest) as target:
        before = set(Path("/tmp").glob(".forensics-start-*"))
        folder = fx.capture(target.pid, to=tmp_path / "capture", via="remote_exec")
        assert fx.open(folder).manifest["via"] == "remote_exec"
        assert set(Path("/tmp").glob(".forensics-start-*")) <= before
        assert target.finish() == "fine"


def test_a_main_thread_in_a_lock_is_entered_by_the_next_way(newest: str) -> None:
    with running("event", interpreter=newest) as target:
        with pytest.raises(CaptureError, match="use --via injector"):
            ways.enter(target.pid, "remote_exec")
        assert ways.enter(target.pid).via == "injector"
        assert target.finish() == "fine"
