"""Whole captures of processes that did not prepare for them, and what may happen in the middle of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import forensics as fx
from forensics.agent.stream import RootKind
from forensics.capture import injector, remote_exec, rights, targets, ways
from forensics.capture.link import AgentLink
from forensics.errors import ForensicsError, TargetError
from tests.integration.running import Running, interpreters, private_tmp_command, running, wait_until

pytestmark = pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or "")

INTERPRETERS = interpreters()


def left_behind(target: Running) -> list[str]:
    """Processes that came of the target and still run: walkers, above all."""
    return [
        f"{each.pid} {each.info['cmdline']}"
        for each in psutil.process_iter(["cmdline"])
        if str(target.flag) in " ".join(each.info["cmdline"] or ()) and each.pid != target.pid
    ]


def as_nobody(work: Callable[[], str]) -> str:
    """Run ``work`` in a forked child that has become the user nobody; its result, or "Kind: message"."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            answer = work()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode()[:60000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read().decode()
    os.waitpid(child, 0)
    return answer


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


@pytest.mark.parametrize("version", INTERPRETERS)
def test_captures_every_interpreter(version: str, tmp_path: Path) -> None:
    with running("large", interpreter=INTERPRETERS[version]) as target:
        folder = fx.capture(target.pid, to=tmp_path / "capture", snapshots=2, every=0.2)
        capture = fx.open(folder)
        newer = tuple(map(int, version.split(".")[:2])) >= remote_exec.FIRST
        first, second = capture.manifest["snapshots"]
        # to the millisecond that a manifest's seconds are rounded to
        assert second["taken_at"] - first["taken_at"] >= 0.2 + first["stream_seconds"] - 0.001
        assert capture.manifest["via"] == ("remote_exec" if newer else "injector")
        assert capture.manifest["complete"]
        assert capture.manifest["runtime_version"] == version
        for graph in capture.snapshots:
            assert len(graph) > 300_000
            assert RootKind.MODULES in graph.root_kinds
            assert any("HELD" in str(holder.path) for holder in graph.holders())
        assert left_behind(target) == []
        target.unharmed()
        assert target.finish() == "fine"


_CAPTURER = """
import sys
import forensics as fx
from forensics.capture import take
print("go", flush=True)
fx.capture(int(sys.argv[1]), to=sys.argv[2], snapshots=50, every=0, walker=sys.argv[3])
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("walker", ["auto", "python"])
def test_killed_in_the_middle_it_leaves_the_target_as_it_was(walker: str, tmp_path: Path) -> None:
    with running("large") as target:
        for attempt in range(6):
            capturer = subprocess.Popen(
                [sys.executable, "-c", _CAPTURER, str(target.pid), str(tmp_path / str(attempt)), walker],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert capturer.stdout is not None
            capturer.stdout.readline()
            time.sleep(0.3 + attempt * 0.31)
            capturer.kill()
            capturer.wait()
            capturer.stdout.close()
            # THEN no tracer, no child, and the collector is on again
            target.unharmed()
            wait_until(lambda: not left_behind(target), 15)
            # The agent goes with the capture, or after a minute if that was killed before it said that it stays;
            # entered anew, the process says whether its collector is on.
            wait_until(lambda: not AgentLink(target.pid).path.exists(), 90)
            wait_until(lambda: ways.enter(target.pid).request("counters")["enabled"], 15)
        assert ways.enter(target.pid)
        assert target.finish() == "fine"


def test_two_captures_at_once(tmp_path: Path) -> None:
    with running("large") as target:
        code = (
            "import sys, forensics as fx; fx.capture(int(sys.argv[1]), to=sys.argv[2], snapshots=2, every=0)"
        )
        both = [
            subprocess.Popen([sys.executable, "-c", code, str(target.pid), str(tmp_path / name)])
            for name in ("one", "two")
        ]
        assert [each.wait(60) for each in both] == [0, 0]
        for name in ("one", "two"):
            assert len(fx.open(tmp_path / name).snapshots) == 2
        assert left_behind(target) == []
        target.unharmed()
        assert target.finish() == "fine"


def test_a_target_that_ends_in_the_middle_is_told(tmp_path: Path) -> None:
    with running("large") as target:
        killer = threading.Timer(1.0, target.process.kill)
        killer.start()
        with pytest.raises(ForensicsError) as caught:
            fx.capture(target.pid, to=tmp_path / "capture", snapshots=200, every=0)
        killer.join()
        assert str(target.pid) in str(caught.value)
        assert left_behind(target) == []


def test_a_target_stopped_in_the_middle_goes_on(tmp_path: Path) -> None:
    with running("large") as target:
        stopper = threading.Timer(0.4, os.kill, (target.pid, signal.SIGSTOP))
        waker = threading.Timer(1.4, os.kill, (target.pid, signal.SIGCONT))
        stopper.start()
        waker.start()
        folder = fx.capture(target.pid, to=tmp_path / "capture", snapshots=3, every=0.3)
        waker.join()
        assert len(fx.open(folder).snapshots) == 3
        target.unharmed()
        assert target.finish() == "fine"


# -- users and namespaces ------------------------------------------------------------------------------------


@root_only
def test_another_users_process_is_refused_with_the_reason() -> None:
    with running("sleep") as target:
        answer = as_nobody(lambda: str(targets.inspect(target.pid)))
        assert answer.startswith(f"TargetError: Process {target.pid}")
        assert "closed to us: it runs as root and we as nobody without CAP_SYS_PTRACE" in answer
        assert "Run as its user or as root" in answer
        assert target.finish() == "fine"


@root_only
def test_root_captures_a_service_of_another_user(tmp_path: Path) -> None:
    # Not one below /root: it could not read its own library.
    with running("nobody", interpreter="/usr/bin/python3") as target:
        before = set(Path("/tmp").glob(".forensics-walker-*"))
        folder = fx.capture(target.pid, to=tmp_path / "capture")
        assert len(fx.open(folder).snapshots) == 1
        assert set(Path("/tmp").glob(".forensics-walker-*")) <= before
        target.unharmed()
        assert target.finish() == "fine"


@root_only
def test_the_same_user_needs_no_root() -> None:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if scope.exists() and scope.read_text().strip() != "0":
        pytest.skip(f"kernel.yama.ptrace_scope is {scope.read_text().strip()}: only ancestors may trace")
    become_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with running("sleep", interpreter="/usr/bin/python3", prefix=become_nobody) as target:

        def enter() -> str:
            link = ways.enter(target.pid)
            return f"{link.via} {link.request('ping')['pid']}"

        assert as_nobody(enter) == f"injector {target.pid}"
        assert target.finish() == "fine"


@root_only
def test_a_process_that_changed_its_user_is_closed_to_that_user() -> None:
    with running("nobody", interpreter="/usr/bin/python3") as target:
        assert "not dumpable" in as_nobody(lambda: str(rights.why_closed(target.pid)))
        assert rights.why_closed(target.pid) is None
        assert target.finish() == "fine"


@root_only
@pytest.mark.parametrize("private_tmp", [False, True])
def test_a_process_in_namespaces_of_its_own(private_tmp: bool, tmp_path: Path) -> None:
    if subprocess.run(["unshare", "-p", "-f", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("unshare is not allowed here")
    inside = ["unshare", "-p", "-f", "-m", "--mount-proc"]
    if private_tmp:
        inside += private_tmp_command()
    with running("large", prefix=inside, flags_in="/var/tmp") as target:
        found = targets.inspect(target.pid)
        assert found.container == "pid, mnt"
        folder = fx.capture(target.pid, to=tmp_path / "capture")
        graph = fx.open(folder).snapshots[0]
        assert any("HELD" in str(holder.path) for holder in graph.holders())
        target.unharmed()
        assert target.finish() == "fine"


def test_a_pid_that_is_not_there() -> None:
    with pytest.raises(TargetError, match="There is no process 4194300"):
        fx.capture(4194300)
