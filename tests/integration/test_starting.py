"""A service that was started a moment ago: whoever captures it at once gets it when it is up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forensics import capture
from forensics.bundle import Bundle
from forensics.capture.injector import supported
from forensics.capture.memory import mappings
from forensics.capture.startup import await_libraries, is_libc, is_loader
from forensics.errors import TargetError
from tests.conftest import require
from tests.integration.running import wait_until

pytestmark = pytest.mark.skipif(bool(supported()), reason=supported() or "")

#: Held up before the interpreter is: a constructor of a library runs before ``main``.
LATE = """
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void wait(void) {
    while (access(getenv("COMES_UP"), F_OK)) usleep(1000);
}
"""
PROGRAM = "pages = [{'id': {'S': str(number)}} for number in range(1000)]; import sys; sys.stdin.read()"


@contextmanager
def held_up_by(library: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that loads ``library`` first."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LD_PRELOAD": str(library), **environment},
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A "library" that the loader waits for until somebody opens it to write."""
    path = tmp_path / "library.so"
    os.mkfifo(path)
    return path


def let_go(pipe: Path) -> None:
    os.close(os.open(pipe, os.O_RDWR))  # for writing only, it would wait for a reader that may have ended


def in_the_loader(pid: int) -> bool:
    """Whether it has its executable and its loader, and no C library."""
    paths = [each.path for each in mappings(pid)]
    return any(map(is_loader, paths)) and not any(map(is_libc, paths))


def test_it_is_captured_once_its_libraries_are_there(pipe: Path, tmp_path: Path) -> None:
    # GIVEN a process in its loader, without a C library
    with held_up_by(pipe) as process:
        wait_until(lambda: in_the_loader(process.pid))
        # WHEN it is captured, and goes on half a second later
        threading.Timer(0.5, let_go, [pipe]).start()
        folder = capture(process.pid, to=tmp_path / "capture")
        # THEN the capture is whole, and the process goes on
        assert Bundle.open(folder).manifest["complete"]
        assert process.poll() is None


def test_it_is_captured_once_its_interpreter_is_up(tmp_path: Path) -> None:
    source, library, flag = tmp_path / "late.c", tmp_path / "late.so", tmp_path / "up"
    source.write_text(LATE)
    gcc = require("gcc", "the test compiles a library")
    subprocess.run([gcc, "-shared", "-fPIC", "-o", library, source], check=True)
    # GIVEN a process that has its libraries, and no interpreter yet
    with held_up_by(library, COMES_UP=str(flag)) as process:
        await_libraries(process.pid)
        # WHEN it is captured, and the interpreter comes up half a second later
        threading.Timer(0.5, flag.touch).start()
        folder = capture(process.pid, to=tmp_path / "capture")
        # THEN the capture is whole, and the process goes on
        assert Bundle.open(folder).manifest["complete"]
        assert process.poll() is None


def test_one_that_never_comes_up_is_refused(pipe: Path, tmp_path: Path) -> None:
    with held_up_by(pipe) as process:
        wait_until(lambda: in_the_loader(process.pid))
        with pytest.raises(TargetError, match="has not come up"):
            capture(process.pid, to=tmp_path / "capture")
        assert not (tmp_path / "capture").exists()
        let_go(pipe)
