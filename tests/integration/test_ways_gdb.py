"""gdb as the way in: the real one either brings a capture home or is refused before the target is touched."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import forensics as fx
from forensics.capture import targets, ways
from forensics.errors import CaptureError
from tests.conftest import require
from tests.integration.running import running

#: What gdb 13 does to processes on processors with AMX, wherever this test runs.
KILLER = """#!/bin/sh
while [ $# -gt 1 ]; do [ "$1" = -p ] && kill -KILL "$2"; shift; done
"""


def works_here() -> str | None:
    """None where this gdb may call a function in a process of this processor, else what it says."""
    with subprocess.Popen(["sleep", "60"]) as process:
        command = ["gdb", "-nx", "-batch", "-p", str(process.pid), "-ex", "call (int)getpid()"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
            )
            alive = process.poll() is None
        finally:
            process.kill()
    return None if alive and f"= {process.pid}" in done.stdout else done.stderr


def test_gdb_captures_or_is_found_out_by_its_trial(tmp_path: Path) -> None:
    require("gdb", "install gdb")
    complaint = works_here()
    with running("sleep") as target:
        if complaint is None:
            folder = fx.capture(target.pid, to=tmp_path / "capture", via="gdb")
            assert fx.open(folder).manifest["via"] == "gdb"
        else:
            with pytest.raises(CaptureError, match="throwaway process"):
                ways.enter(target.pid, "gdb")
        target.unharmed()
        assert target.finish() == "fine"


def test_a_gdb_that_kills_is_refused_and_the_target_untouched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gdb").write_text(KILLER)
    (tmp_path / "gdb").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with running("sleep") as target:
        with pytest.raises(CaptureError, match="your process was not touched") as refused:
            ways.enter(target.pid, "gdb")
        assert "--via injector" in str(refused.value)
        target.unharmed()
        assert target.finish() == "fine"


def test_gdb_is_never_a_way_that_is_taken_by_itself() -> None:
    with running("sleep") as target:
        way = next(way for way in targets.inspect(target.pid).ways if way.name == "gdb")
        assert not way.open
        assert ways.enter(target.pid).via == "injector"
        assert target.finish() == "fine"
