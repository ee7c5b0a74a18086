"""``forensics capture`` on real processes when something goes wrong in the middle: what it says, and what is left."""

from __future__ import annotations

import os
import random
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
from forensics.capture import injector, ways
from forensics.capture.link import AgentLink
from tests.integration.running import Running, private_tmp_command, running, wait_until

pytestmark = pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or "")

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount, or to become another user")


def command(target: Running, folder: Path, *options: str) -> list[str]:
    capture = [sys.executable, "-c", "from forensics.cli import main; main()", "capture"]
    return [*capture, str(target.pid), "--to", str(folder), *options]


def start(*words: str, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def whole_snapshots(folder: Path) -> int:
    """How many a manifest lists by now."""
    try:
        return len(fx.open(folder).manifest["snapshots"])
    except fx.ForensicsError:
        return 0


def half_written(folder: Path) -> list[Path]:
    return list(folder.rglob("*.partial"))


def children_of(target: Running) -> list[int]:
    """Walkers of the target: its children, and those that it did not have to wait for."""
    words = str(target.flag)
    return [
        each.pid
        for each in psutil.process_iter(["cmdline"])
        if words in " ".join(each.info["cmdline"] or ()) and each.pid != target.pid
    ]


def collector_is_on(target: Running) -> bool:
    """As the process itself says, entered anew; its own check at the end says it once more."""
    return bool(ways.enter(target.pid).request("counters")["enabled"])


# -- the target goes, or stands ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["it is killed", "it ends by itself"])
def test_a_target_that_goes_leaves_the_snapshots_that_were_whole(how: str, tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    with running("large") as target:
        # GIVEN a capture of many snapshots of which two are whole
        capture = start(*command(target, folder, "--snapshots", "500", "--every", "0"))
        wait_until(lambda: whole_snapshots(folder) >= 2, 60)
        # WHEN the target goes
        if how == "it is killed":
            target.process.kill()
        else:
            target.flag.touch()
        out, err = capture.communicate(timeout=60)
        # THEN that is said, with what can still be read, and it can be read
        assert capture.returncode == 3, (out, err)
        assert "Traceback" not in err
        assert str(target.pid) in err
        whole = whole_snapshots(folder)
        assert f"{whole} whole snapshots can be read" in " ".join(err.split())
        opened = fx.open(folder)
        assert opened.manifest["cut_short"]
        assert not opened.manifest["complete"]
        assert all(len(graph) > 300_000 for graph in list(opened.snapshots)[:2])
        assert half_written(folder) == []
        assert children_of(target) == []


def test_a_target_stopped_for_good_is_told_and_goes_on_when_it_may(tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    with running("large") as target:
        capture = start(*command(target, folder, "--snapshots", "500", "--every", "0"))
        wait_until(lambda: whole_snapshots(folder) >= 1, 60)
        os.kill(target.pid, signal.SIGSTOP)
        out, err = capture.communicate(timeout=60)
        assert capture.returncode == 3, (out, err)
        assert f"kill -CONT {target.pid}" in " ".join(err.split())
        assert whole_snapshots(folder) >= 1
        assert half_written(folder) == []
        os.kill(target.pid, signal.SIGCONT)
        wait_until(lambda: children_of(target) == [], 30)
        target.unharmed()
        assert collector_is_on(target)
        assert target.finish() == "fine"


# -- the capturing process goes ------------------------------------------------------------------------------


@pytest.mark.parametrize("walker", ["auto", "python"])
def test_killed_at_random_moments_it_leaves_the_target_as_it_was(walker: str, tmp_path: Path) -> None:
    moments = random.Random(int(time.time()))
    with running("large") as target:
        for attempt in range(8):
            folder = tmp_path / str(attempt)
            options = ("--snapshots", "500", "--every", "0", "--walker", walker)
            capture = start(*command(target, folder, *options))
            wait_until((folder / "manifest.json").exists, 60)
            delay = moments.uniform(0, 1.2)
            time.sleep(delay)
            capture.kill()
            capture.communicate()
            # THEN nobody traces it, no child is left, the agent has gone, and the collector is on
            target.unharmed()
            wait_until(lambda: children_of(target) == [], 30)
            wait_until(lambda: not AgentLink(target.pid).path.exists(), 30)
            wait_until(lambda: len(os.listdir(f"/proc/{target.pid}/task")) == 1, 30)
            assert collector_is_on(target), f"killed after {delay:.3f} s"
            # and what it had finished can be read
            assert whole_snapshots(folder) == len(fx.open(folder).snapshots)
        assert target.finish() == "fine"


@pytest.mark.parametrize("later", [0.0, 0.1, 0.2, 0.3])
def test_an_interrupted_capture_keeps_what_is_whole(later: float, tmp_path: Path) -> None:
    """Ctrl-C may find it in code of ours that is compiled, which raises another exception than Python's own."""
    folder = tmp_path / "capture"
    with running("large") as target:
        capture = start(*command(target, folder, "--snapshots", "500", "--every", "0"))
        wait_until(lambda: whole_snapshots(folder) >= 1, 60)
        time.sleep(later)
        capture.send_signal(signal.SIGINT)
        _, err = capture.communicate(timeout=60)
        assert capture.returncode == 130, err
        assert fx.open(folder).manifest["cut_short"] == "KeyboardInterrupt"
        assert whole_snapshots(folder) >= 1
        assert half_written(folder) == []
        wait_until(lambda: children_of(target) == [], 30)
        target.unharmed()
        assert target.finish() == "fine"


# -- what a capture leaves in a target -----------------------------------------------------------------------


def test_nothing_but_dormant_code_stays_after_a_capture(tmp_path: Path) -> None:
    with running("large") as target:

        def libraries() -> int:
            maps = Path(f"/proc/{target.pid}/maps").read_text().splitlines()
            return len([line for line in maps if "_walker" in line and "r-xp" in line])

        sockets = set(Path("/tmp/.forensics-agent").glob("*"))
        for attempt in range(3):
            fx.capture(target.pid, to=tmp_path / str(attempt))
            wait_until(lambda: len(os.listdir(f"/proc/{target.pid}/task")) == 1)
            assert not AgentLink(target.pid).path.exists()
        assert libraries() <= 1
        assert set(Path("/tmp/.forensics-agent").glob(f"{target.pid}.*")) - sockets == set()
        assert not list(Path("/tmp").glob(f".forensics-walker-*/*{target.pid}*"))
        assert target.finish() == "fine"


def test_a_service_that_hardly_lets_go_of_the_lock_is_captured_and_left_as_it_was(tmp_path: Path) -> None:
    with running("busy") as target:
        capture = fx.open(fx.capture(target.pid, snapshots=2, every=0.2, to=tmp_path / "capture"))
        assert len(capture.snapshots) == 2
        wait_until(lambda: len(os.listdir(f"/proc/{target.pid}/task")) == 1)
        assert target.finish() == "fine"


def test_an_agent_that_the_service_imported_stays_after_a_capture(tmp_path: Path) -> None:
    code = "import forensics.agent, time, sys; print('ready', flush=True); time.sleep(120)"
    with start(sys.executable, "-c", code) as service:
        try:
            assert service.stdout is not None
            assert service.stdout.readline() == "ready\n"
            for name in ("one", "two"):
                folder = fx.capture(service.pid, to=tmp_path / name)
                assert fx.open(folder).manifest["via"] == "agent"
        finally:
            service.kill()


def test_sockets_of_ended_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    code = "import forensics.agent, time, sys; print('ready', flush=True); time.sleep(120)"
    with (
        start(sys.executable, "-c", code) as gone,
        start(sys.executable, "-c", code) as other,
        running("sleep") as target,
    ):
        try:
            for service in (gone, other):
                assert service.stdout is not None
                assert service.stdout.readline() == "ready\n"
            gone.kill()
            gone.wait()
            left = AgentLink(other.pid).path.with_name(f"{gone.pid}.sock")
            assert left.exists()
            ways.enter(target.pid)
            assert not left.exists()
            assert AgentLink(other.pid).alive()
        finally:
            other.kill()
        assert target.finish() == "fine"


def test_two_captures_of_one_process_at_once_and_neither_ends_the_other(tmp_path: Path) -> None:
    with running("large") as target:
        short = start(*command(target, tmp_path / "short", "--snapshots", "1"))
        long = start(*command(target, tmp_path / "long", "--snapshots", "6", "--every", "0.3"))
        for each in (short, long):
            _, err = each.communicate(timeout=120)
            assert each.returncode == 0, err
        assert (whole_snapshots(tmp_path / "short"), whole_snapshots(tmp_path / "long")) == (1, 6)
        wait_until(lambda: not AgentLink(target.pid).path.exists())
        target.unharmed()
        assert target.finish() == "fine"


# -- no room, no right ---------------------------------------------------------------------------------------


@root_only
@pytest.mark.parametrize("full", ["the capture's disk", "the temporary files' disk"])
def test_a_full_disk_is_said_and_what_was_whole_stays(full: str, tmp_path: Path) -> None:
    # A snapshot of this target takes about 28 MB, its references about 12 MB while they are sorted out.
    disk = tmp_path / "disk"
    disk.mkdir()
    room = 70 if full == "the capture's disk" else 4
    folder = disk / "capture" if full == "the capture's disk" else tmp_path / "capture"
    places = {**os.environ, "TMPDIR": str(disk if room == 4 else tmp_path)}
    with running("large") as target:
        # The listing at the end is taken where the disk is mounted, which ends with the shell.
        script = f'mount -t tmpfs -o size={room}m none "$0" && "$@"; code=$?; find "$0"; exit $code'
        capture = start(
            "unshare", "--mount", "sh", "-c", script, str(disk),
            *command(target, folder, "--snapshots", "20", "--every", "0"), env=places,
        )  # fmt: skip
        out, err = capture.communicate(timeout=120)
        said = " ".join(err.split())
        assert capture.returncode == 3, (out, err)
        assert "Traceback" not in err
        assert "the disk is full" in said
        assert ".partial" not in out
        if room == 70:
            assert "whole snapshot" in said
            assert "capture/snapshots/000/objects.arrow" in out
        else:
            assert "TMPDIR" in said
            assert not folder.exists()
        wait_until(lambda: children_of(target) == [], 30)
        target.unharmed()
        assert collector_is_on(target)
        assert target.finish() == "fine"


@root_only
def test_a_target_that_may_start_no_thread_is_told_so(tmp_path: Path) -> None:
    with running("limits") as target:
        capture = start(*command(target, tmp_path / "capture"))
        _, err = capture.communicate(timeout=60)
        assert capture.returncode == 3
        assert "RLIMIT_NPROC" in err
        assert not (tmp_path / "capture").exists()
        target.unharmed()
        assert target.finish() == "fine"


@root_only
def test_threads_and_forks_forbidden_while_the_agent_is_there(tmp_path: Path) -> None:
    with running("forbidden", interpreter="/usr/bin/python3") as target:
        link = ways.enter(target.pid)
        assert target.process.stdout is not None
        target.flag.with_name("forbid").touch()
        assert target.process.stdout.readline() == "forbid\n"
        capture = start(*command(target, tmp_path / "capture"))
        _, err = capture.communicate(timeout=60)
        assert capture.returncode == 3
        assert "thread" in err
        # WHEN the limit is lifted THEN the agent is still there, and works
        target.flag.with_name("allow").touch()
        assert target.process.stdout.readline() == "allow\n"
        assert link.alive()
        fx.capture(target.pid, to=tmp_path / "after")
        assert target.finish() == "fine"


@root_only
def test_a_target_that_may_not_write_to_tmp_is_captured_all_the_same(tmp_path: Path) -> None:
    read_only = ["unshare", "--mount", *private_tmp_command("ro")]
    with running("no_tmp", interpreter="/usr/bin/python3", prefix=read_only, flags_in="/var/tmp") as target:
        folder = fx.capture(target.pid, to=tmp_path / "capture")
        assert len(fx.open(folder).snapshots) == 1
        wait_until(lambda: not AgentLink(target.pid).path.exists())
        assert target.finish() == "fine"


def as_nobody(work: Callable[[], object]) -> str:
    """Run ``work`` in a forked child that has become the user nobody; its result, or "Kind: message"."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            answer = str(work())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode()[:60000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = file.read().decode()
    os.waitpid(child, 0)
    return answer


@root_only
def test_another_users_process_is_not_captured_and_the_reason_is_given(tmp_path: Path) -> None:
    place = tmp_path / "open"
    place.mkdir(mode=0o777)
    with running("large") as target:
        answer = as_nobody(lambda: fx.capture(target.pid, to=place / "capture"))
        assert answer.startswith(f"TargetError: Process {target.pid}")
        assert "it runs as root and we as nobody" in answer
        assert not (place / "capture").exists()
        assert target.finish() == "fine"


def test_a_capture_goes_on_while_the_target_is_stopped_and_continued(tmp_path: Path) -> None:
    with running("large") as target:
        stop = threading.Event()

        def interfere() -> None:
            while not stop.wait(0.15):
                os.kill(target.pid, signal.SIGSTOP)
                time.sleep(0.05)
                os.kill(target.pid, signal.SIGCONT)

        folder = tmp_path / "capture"
        fx.capture(target.pid, to=tmp_path / "first")  # entered undisturbed: a stopped target is refused
        thread = threading.Thread(target=interfere)
        link = ways.enter(target.pid)
        thread.start()
        try:
            fx.capture(target.pid, to=folder, snapshots=4, every=0.1)
        finally:
            stop.set()
            thread.join()
        assert link.via == "injector"
        assert len(fx.open(folder).snapshots) == 4
        target.unharmed()
        assert target.finish() == "fine"
