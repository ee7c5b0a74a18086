"""The forked child and the service it came from: what must be true whatever happens to either, or to the reader."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from forensics.capture.reader import RawSnapshot, read_stream
from forensics.capture.yielding import SLICE_NS, slice_of
from forensics.errors import CaptureError
from tests.integration.native_walking import each_interpreter, start


class Served:
    """The service program: commands go in, JSON comes out."""

    def __init__(self, process: subprocess.Popen[str], ours: socket.socket) -> None:
        self.process, self.socket = process, ours
        self.answer()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        return json.loads(line)

    def ask(self, command: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def begun(self) -> None:
        """Wait until the child has become what it is to be, and writes."""
        assert self.socket.recv(1, socket.MSG_PEEK)

    def unharmed(self) -> dict[str, Any]:
        """Nothing is left behind: no child, no zombie, no signal, the collector on, the data whole."""
        facts = self.ask("check")
        assert facts["children"] == {}
        assert facts["signals"] == 0
        assert facts["waited"] is None
        assert facts["gc"] is True
        assert facts["intact"] == 8000
        return facts


@contextmanager
def service(interpreter: str = sys.executable, threads: int = 0) -> Iterator[Served]:
    process, ours = start("service.py", interpreter, str(threads), stdin=subprocess.PIPE)
    with process, ours:
        try:
            yield Served(process, ours)
            assert process.poll() is None
            process.communicate("end\n", timeout=30)
            assert process.returncode == 0
        finally:
            process.kill()


def receive(served: Served, into: list[RawSnapshot]) -> threading.Thread:
    def read() -> None:
        into.append(read_stream(served.socket.recv))

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def one(served: Served, command: str = "snapshot") -> RawSnapshot:
    """One snapshot, whole; the child is gone and the collector on when this returns."""
    got: list[RawSnapshot] = []
    reader = receive(served, got)
    result = served.ask(command)
    reader.join(30)
    if result.get("child_pid"):
        assert served.ask(f"wait {result['child_pid']}") == {"status": 0}
    return got[0]


@each_interpreter
def test_sixty_snapshots_of_a_busy_service_harm_nothing(interpreter: str) -> None:
    with service(interpreter, threads=4) as served:
        before = served.ask("check")["beats"]
        for _ in range(60):
            assert one(served).end["objects"] > 30000
        assert served.unharmed()["beats"] > before


@each_interpreter
def test_the_collector_is_off_while_the_child_lives_and_then_on_again(interpreter: str) -> None:
    with service(interpreter) as served:
        result = served.ask("snapshot")  # nobody reads: the child waits in write
        assert result["held"] is True
        assert served.ask("check")["gc"] is False
        read_stream(served.socket.recv)
        assert served.ask(f"wait {result['child_pid']}") == {"status": 0}
        served.unharmed()


@each_interpreter
def test_a_worker_forked_while_the_collector_is_held_has_its_own_on(interpreter: str) -> None:
    with service(interpreter) as served:
        result = served.ask("snapshot")
        assert served.ask("fork")["child_had_collector"] is True
        assert served.ask("check")["gc"] is False
        read_stream(served.socket.recv)
        assert served.ask(f"wait {result['child_pid']}") == {"status": 0}
        assert served.ask("check")["gc"] is True


def test_the_child_keeps_no_descriptor_but_the_stream_and_dies_first() -> None:
    with service() as served:
        result = served.ask("snapshot")
        served.begun()
        child = served.ask(f"child {result['child_pid']}")
        assert child["name"] == "forensics-walk"
        assert child["oom"] == 1000
        assert len(child["fds"]) == 1
        read_stream(served.socket.recv)
        served.ask(f"wait {result['child_pid']}")
        served.unharmed()


def test_the_child_gives_way_to_whoever_wakes_up() -> None:
    with service() as served:
        result = served.ask("snapshot")
        pid = result["child_pid"]
        served.begun()
        assert os.sched_getscheduler(pid) == os.SCHED_BATCH
        assert os.getpriority(os.PRIO_PROCESS, pid) == 10
        assert slice_of(pid) in (SLICE_NS, 0)  # none is told before Linux 6.12
        read_stream(served.socket.recv)
        served.ask(f"wait {pid}")
        served.unharmed()


@each_interpreter
def test_a_reader_that_goes_away_ends_the_child(interpreter: str) -> None:
    with service(interpreter) as served:
        result = served.ask("snapshot")
        served.socket.recv(100)
        served.socket.close()
        status = served.ask(f"wait {result['child_pid']}")["status"]
        assert os.waitstatus_to_exitcode(status) > 0  # by itself, not by a signal
        served.unharmed()


def test_a_child_that_is_killed_leaves_a_stream_that_says_so() -> None:
    with service() as served:
        result = served.ask("last")
        os.kill(result["child_pid"], signal.SIGKILL)
        with pytest.raises(CaptureError, match="ended early"):
            read_stream(served.socket.recv)
        assert os.WTERMSIG(served.ask(f"wait {result['child_pid']}")["status"]) == signal.SIGKILL
        served.unharmed()


def test_a_reader_killed_in_the_middle_of_a_snapshot() -> None:
    code = "import os, sys\nfd = int(sys.argv[1])\nwhile os.read(fd, 1 << 16): pass"
    for delay in range(8):
        with service() as served:
            fd = served.socket.fileno()
            reader = subprocess.Popen([sys.executable, "-c", code, str(fd)], pass_fds=[fd])
            result = served.ask("snapshot")
            time.sleep(delay / 160)
            reader.kill()
            reader.wait()
            served.socket.close()
            served.ask(f"wait {result['child_pid']}")
            served.unharmed()


def test_two_snapshots_at_once() -> None:
    with service() as first, service() as second:
        got: list[RawSnapshot] = []
        readers = [receive(first, got), receive(second, got)]
        results = [first.ask("snapshot"), second.ask("snapshot")]
        for reader in readers:
            reader.join(30)
        first.ask(f"wait {results[0]['child_pid']}")
        second.ask(f"wait {results[1]['child_pid']}")
        assert len(got) == 2
        first.unharmed()
        second.unharmed()


def test_the_service_that_may_not_fork_is_told_and_can_be_walked_in_place() -> None:
    with service() as served:
        if os.getuid() != 0:
            pytest.skip("the program gives up its user id to come under the limit; run as root")
        served.ask("limit")
        assert served.ask("snapshot")["error"] == "BlockingIOError"
        raw = one(served, "place")
        assert raw.end["objects"] > 30000
        served.unharmed()


def test_in_place_with_no_reader_ends_with_an_error_and_not_with_the_service() -> None:
    with service() as served:
        served.socket.close()
        answer = served.ask("place")
        assert answer["error"] == "OSError"
        assert "reader" in answer["text"]
        served.unharmed()
