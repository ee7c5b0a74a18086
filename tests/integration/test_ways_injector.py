"""The injector on real processes: every interpreter of this machine, every kind of place a thread can be in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from forensics.capture import payload, ways
from forensics.capture.injector import Injection, inject, supported
from forensics.capture.link import AgentLink
from forensics.capture.payload import agent_script, isolated
from forensics.errors import CaptureError, TargetError
from tests.integration.running import interpreters, running, wait_until

pytestmark = pytest.mark.skipif(bool(supported()), reason=supported() or "")

INTERPRETERS = interpreters()
PLACES = ("sleep", "event", "busy", "malloc", "extension")
NOTHING = "pass"


@pytest.mark.parametrize("program", PLACES)
@pytest.mark.parametrize("version", INTERPRETERS)
def test_enters_and_leaves_every_interpreter_unharmed(version: str, program: str) -> None:
    with running(program, interpreter=INTERPRETERS[version]) as target:
        # WHEN the agent is started in it three times over
        for _ in range(3):
            done = inject(target.pid, lambda page: agent_script(page, patience=60), patience=60)
            target.unharmed()
            assert AgentLink(target.pid).request("ping")["version"] == version
        # THEN it was borrowed where that is safe, and goes on and ends as if nobody had been there
        link = AgentLink(target.pid)
        with link.staying():
            pass
        wait_until(lambda: not link.path.exists(), 30)
        assert done.doing
        assert target.finish() == "fine"


def test_two_hundred_in_a_row_on_a_busy_target() -> None:
    with running("malloc", "3") as target:
        done = [inject(target.pid, lambda page: NOTHING) for _ in range(200)]
        target.unharmed()
        median = sorted(each.stopped_seconds for each in done)[100]
        assert median < 0.002, f"stopped for {median * 1e3:.2f} ms in the median"
        assert target.finish() == "fine"


@pytest.mark.parametrize("version", INTERPRETERS)
def test_blocking_calls_end_as_if_nobody_had_been_there(version: str) -> None:
    with running("syscalls", interpreter=INTERPRETERS[version]) as target:
        seen = {inject(target.pid, lambda page: NOTHING).doing for _ in range(60)}
        assert target.finish() == "fine"
        assert len(seen) > 1, seen


def test_every_signal_that_arrives_meanwhile_is_delivered_once() -> None:
    with running("signals") as target:
        # GIVEN a timer every 2 ms, and every real-time signal sent in its turn, again and again
        numbers = range(signal.SIGRTMIN, signal.SIGRTMAX + 1)
        sent: list[int] = []
        stop = threading.Event()

        def arrived() -> list[int]:
            return [number for number in target.flag.with_name("arrived").read_bytes() if number in numbers]

        def send() -> None:
            while not stop.is_set():
                for number in numbers:
                    os.kill(target.pid, number)
                    sent.append(number)
                # Of several at once the kernel starts the handlers before it runs any, the last one first; so the
                # order that can be told is that of the rounds.
                wait_until(lambda: len(arrived()) >= len(sent))

        sender = threading.Thread(target=send)
        sender.start()
        # WHEN it is entered a hundred times and more meanwhile
        entered = 0
        while entered < 100 or len(sent) <= 1000:
            inject(target.pid, lambda page: NOTHING)
            entered += 1
        stop.set()
        sender.join()
        # THEN each of them arrived, once, each round after the one before it
        assert len(sent) > 1000
        came, each = arrived(), len(numbers)
        assert len(came) == len(sent)
        for first in range(0, len(sent), each):
            assert sorted(came[first : first + each]) == sent[first : first + each]
        assert target.flag.with_name("arrived").read_bytes().count(signal.SIGALRM) > 50
        assert target.finish() == "fine"


def test_the_script_gets_no_further_than_its_own_namespace() -> None:
    with running("sleep") as target:
        inject(target.pid, lambda page: isolated("before = 1; sys = 2; time = None"))
        assert target.finish() == "fine"


def test_an_error_inside_is_told_and_harms_nothing(monkeypatch) -> None:
    monkeypatch.setattr(payload, "agent_sources", lambda: {payload.PRIVATE: "raise ValueError(42)"})
    with running("sleep") as target:
        with pytest.raises(CaptureError, match="ValueError: 42"):
            inject(target.pid, agent_script)
        target.unharmed()
        assert target.finish() == "fine"


def test_a_script_that_nobody_waits_for_any_more_does_nothing() -> None:
    with running("sleep") as target:
        inject(target.pid, lambda page: agent_script(page, patience=-1.0))
        assert not os.path.exists(AgentLink(target.pid).path)
        assert target.finish() == "fine"


def test_two_injections_at_once() -> None:
    with running("malloc", "2") as target:
        done: list[Injection] = []
        failed: list[BaseException] = []

        def several() -> None:
            try:
                done.extend(inject(target.pid, lambda page: NOTHING) for _ in range(25))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=several) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert len(done) == 75
        target.unharmed()
        assert target.finish() == "fine"


@pytest.mark.parametrize("version", INTERPRETERS)
def test_four_ways_in_at_once_share_one_agent(version: str) -> None:
    # Five processes: which of the four comes first, and at what moment, is never the same twice.
    for _ in range(5):
        with running("sleep", interpreter=INTERPRETERS[version]) as target:
            with ThreadPoolExecutor(4) as callers:
                answers = [callers.submit(_version_by, target.pid) for _ in range(4)]
            assert [answer.result() for answer in answers] == [version] * 4
            assert target.finish() == "fine"


def _version_by(pid: int) -> str:
    return str(ways.enter(pid).request("ping")["version"])


_CAPTURER = """
import sys
from forensics.capture.injector import inject
print("go", flush=True)
while True:
    inject(int(sys.argv[1]), lambda page: "pass")
"""


@pytest.mark.parametrize("program", ["malloc", "sleep"])
def test_killed_in_the_middle_it_leaves_no_trace(program: str) -> None:
    with running(program) as target:
        # GIVEN capturing processes that do nothing but enter it, each killed -9 at another moment
        for attempt in range(25):
            capturer = subprocess.Popen(
                [sys.executable, "-c", _CAPTURER, str(target.pid)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert capturer.stdout is not None
            assert capturer.stdout.readline() == b"go\n"
            time.sleep(0.02 + attempt * 0.00137)
            capturer.kill()
            capturer.wait()
            capturer.stdout.close()
            target.unharmed()
        # THEN it can still be entered, and the threads that waited for a script are gone after three seconds
        assert inject(target.pid, lambda page: NOTHING).doing
        wait_until(lambda: len(os.listdir(f"/proc/{target.pid}/task")) <= 2, 15)
        target.unharmed()
        assert target.finish() == "fine"


def test_a_target_killed_in_the_middle() -> None:
    for attempt in range(12):
        with running("malloc") as target:
            killer = threading.Timer(0.001 + attempt * 0.002, target.process.kill)
            killer.start()
            with pytest.raises((TargetError, CaptureError)) as caught:
                while True:
                    inject(target.pid, lambda page: NOTHING)
            killer.join()
            assert "ended" in str(caught.value) or "no process" in str(caught.value)


def test_a_stopped_target_is_refused_and_stays_stopped() -> None:
    with running("sleep") as target:
        os.kill(target.pid, signal.SIGSTOP)
        wait_until(lambda: "State:\tT" in Path(f"/proc/{target.pid}/status").read_text())
        with pytest.raises(TargetError, match="is stopped") as caught:
            inject(target.pid, lambda page: NOTHING)
        assert f"kill -CONT {target.pid}" in str(caught.value)
        os.kill(target.pid, signal.SIGCONT)
        target.unharmed()
        assert target.finish() == "fine"


def test_stopped_and_continued_all_the_time() -> None:
    with running("busy") as target:
        stop = threading.Event()

        def interfere() -> None:
            while not stop.is_set():
                os.kill(target.pid, signal.SIGSTOP)
                time.sleep(0.002)
                os.kill(target.pid, signal.SIGCONT)
                time.sleep(0.004)

        thread = threading.Thread(target=interfere)
        thread.start()
        entered = 0
        for _ in range(60):
            try:
                inject(target.pid, lambda page: NOTHING)
                entered += 1
            except TargetError as error:
                assert "is stopped" in str(error)
        stop.set()
        thread.join()
        target.unharmed()
        assert entered
        assert target.finish() == "fine"


def test_no_more_threads_allowed() -> None:
    # RLIMIT_NPROC does not bind root, so the target gives its rights away first.
    with running("limits") as target:
        with pytest.raises(CaptureError, match="could not start the thread"):
            inject(target.pid, lambda page: NOTHING)
        target.unharmed()
        assert target.finish() == "fine"


def test_the_way_is_found_by_itself() -> None:
    with running("collector") as target:
        assert ways.enter(target.pid).via == "injector"
        assert ways.enter(target.pid).via == "agent"
        with pytest.raises(TargetError, match=r"needs Python 3\.14"):
            ways.enter(target.pid, "remote_exec")
        assert target.finish() == "fine"
