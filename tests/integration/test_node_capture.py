"""Capture of real Node processes by PID: entered through the inspector, left as they were found."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

import forensics as fx
from forensics.capture.node import inspector
from forensics.capture.node.census import census
from forensics.errors import CaptureError, TargetError
from forensics.specimens.program import Program
from tests.conftest import require

IDLE = Path(__file__).parent / "programs" / "idle.js"
PORT = inspector.PORT


def started(*options: str, script: Path = IDLE, **environment: str) -> Program:
    node = require("node", "capture of Node processes needs Node.js")
    program = Program("an idle program", [node, *options, script], environment=environment)
    program.wait_until(lambda: turns(program) > 0)
    return program


def turns(program: Program) -> int:
    """How often its event loop has turned, by its own word."""
    return max((int(line) for line in program.log(20).splitlines() if line.isdigit()), default=0)


def goes_on(program: Program) -> None:
    before = turns(program)
    program.wait_until(lambda: turns(program) > before + 2)


def listening(pid: int) -> set[int]:
    found = psutil.Process(pid).net_connections("tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="module", autouse=True)
def port_is_free():
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", PORT))


def test_what_is_foretold_is_of_the_size_of_what_happens_and_knows_buffers_from_the_heap(tmp_path):
    with started(script=IDLE.with_name("buffers.js")) as program:
        cost = fx.plan(program.pid).cost
        folder = fx.capture(program.pid, to=tmp_path / "capture", snapshots=1)
        capture = fx.open(folder)
        assert psutil.Process(program.pid).memory_info().rss > 3 * capture.manifest["counters"]["heapTotal"]
        assert 0.4 < cost.objects / len(capture.snapshots[0]) < 3
        size = sum(each.stat().st_size for each in (folder / "snapshots").rglob("*") if each.is_file())
        assert 0.4 < cost.disk_bytes / size < 3


def test_a_capture_leaves_the_inspector_shut_and_the_process_running(tmp_path):
    with started() as program:
        assert listening(program.pid) == set()
        folder = fx.capture(program.pid, to=tmp_path / "capture", snapshots=2, every=0.5)
        assert listening(program.pid) == set()
        goes_on(program)
        capture = fx.open(folder)
        assert capture.runtime == "node"
        assert capture.manifest["runtime_version"].split(".")[0].isdigit()
        assert len(capture.snapshots) == 2
        assert all(entry["pause_seconds"] > 0 for entry in capture.manifest["snapshots"])
        earlier, later = capture.manifest["snapshots"]
        # it served for as long as was asked for, however long the first stood still
        assert later["taken_at"] - earlier["taken_at"] >= 0.5 + earlier["pause_seconds"]
        assert len(capture.process) >= 1
        # The same object has the same id in both.
        first, second = (
            set(graph.addresses[graph.objects_of_type("Array")].tolist()) for graph in capture.snapshots
        )
        assert len(first & second) > 0.9 * len(first)
        again = fx.capture(program.pid, to=tmp_path / "again", snapshots=1)
        assert len(fx.open(again).snapshots) == 1
        goes_on(program)


def test_an_inspector_that_listens_already_is_used_and_stays(tmp_path):
    with started("--inspect=127.0.0.1:0") as program:
        before = listening(program.pid)
        assert before
        fx.capture(program.pid, to=tmp_path / "capture")
        assert listening(program.pid) == before
        goes_on(program)


def test_a_process_that_the_signal_would_kill_is_refused_and_lives():
    with Program("a sleeper", ["sleep", "60"]) as program:
        found = inspector.door(program.pid)
        assert not found.open
        assert "does not catch SIGUSR1" in found.reason
        with pytest.raises(TargetError, match="no way into process"), inspector.entered(program.pid):
            pass
        assert program.running


def test_a_taken_port_is_explained_before_anything_is_sent(tmp_path):
    with socket.create_server(("127.0.0.1", PORT)), started() as program:
        with pytest.raises(TargetError, match=f"port {PORT}.*taken by process {os.getpid()}"):
            fx.capture(program.pid, to=tmp_path / "capture")
        assert not (tmp_path / "capture").exists()
        goes_on(program)


def test_two_clients_of_one_inspector_do_not_disturb_each_other(tmp_path):
    with started("--inspect=127.0.0.1:0") as program, inspector.entered(program.pid) as other:
        assert other.evaluate("1 + 1") == 2
        fx.capture(program.pid, to=tmp_path / "capture")
        assert other.evaluate("2 + 2") == 4


def test_a_target_that_dies_during_the_capture_is_said(tmp_path):
    with started() as program, inspector.entered(program.pid) as session:
        program.process.kill()
        with pytest.raises(CaptureError, match=r"broke off|did not answer"):
            session.evaluate("1")


def test_sampled_allocations_name_the_code(tmp_path):
    with started() as program:
        folder = fx.capture(program.pid, to=tmp_path / "capture", snapshots=0, allocations=1.5)
        capture = fx.open(folder)
        assert [path.name for path in capture.allocations] == ["000.heapprofile"]
        assert capture.profiles[0].total("live") >= 0


def test_what_is_for_python_only_is_refused(tmp_path):
    with started() as program:
        with pytest.raises(CaptureError, match="for Python processes"):
            fx.capture(program.pid, to=tmp_path / "capture", in_place=True)
        with pytest.raises(CaptureError, match="no way into a Node process"):
            fx.capture(program.pid, to=tmp_path / "capture", via="injector")


def test_plan_and_targets_know_it_and_touch_nothing():
    with started() as program:
        plan = fx.plan(program.pid, snapshots=3)
        assert plan.allowed and plan.way == "inspector" and plan.cost.pause_seconds > 0
        assert "Node" in str(plan) and "--census" in str(plan) and "--census" in plan._repr_html_()
        pauses = [each.pause_seconds for each in plan.degrees]
        assert len(pauses) == 4 and pauses == sorted(pauses) and pauses[-1] == plan.cost.pause_seconds
        target = next(each for each in fx.targets() if each.pid == program.pid)
        assert target.open_ways == ("inspector",)
        assert listening(program.pid) == set()
        command = [sys.executable, "-m", "forensics.cli", "capture", str(program.pid), "--dry-run", "--json"]
        said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert said["allowed"] is True and said["way"] == "inspector"
        assert listening(program.pid) == set()


HOLDING = Path(__file__).parent / "programs" / "holding.js"


def asked(program: Program, add: int = 0) -> dict:
    port = next(line for line in program.log(100_000).splitlines() if line.startswith("port="))[5:]
    return httpx.get(f"http://127.0.0.1:{port}/?add={add}", timeout=60, trust_env=False).json()


def test_a_census_ranks_containers_that_nobody_exports_and_runs_nothing_of_theirs(tmp_path):
    with started(script=HOLDING) as program:
        before = asked(program)
        with inspector.entered(program.pid) as session:
            first = census(session)
            asked(program, add=150)  # its `debugger` statement must not hold the service up
            second = census(session)
        assert asked(program) == {**before, "touched": 0}
        for found, elements in ((first, 100), (second, 250)):
            assert found.complete
            held = {(each.path, each.kind): each for each in found.containers}
            for name, kind in (
                ("responses", "Map"),
                ("pages", "Array"),
                ("seen", "Set"),
                ("byCustomer", "Object"),
            ):
                assert held[f"holding.js · {name}", kind].elements == elements
            assert held["holding.js · responses", "Map"].shape == ("Items", "Count", "$metadata")
        goes_on(program)
        assert len(listening(program.pid)) == 1


def test_censuses_in_place_of_snapshots_say_what_grew(tmp_path):
    with started(script=HOLDING) as program:
        command = ["capture", str(program.pid), "--census", "--snapshots", "2", "--every", "1"]
        made = subprocess.Popen(
            [sys.executable, "-m", "forensics.cli", *command, "--to", tmp_path / "capture"],
            stdout=subprocess.PIPE,
            text=True,
        )
        manifest = tmp_path / "capture" / "manifest.json"
        program.wait_until(lambda: manifest.is_file() and '"census/000.json"' in manifest.read_text())
        asked(program, add=77)
        said, _ = made.communicate(timeout=60)
        assert made.returncode == 0
        assert "holding.js · responses" in said
        capture = fx.open(tmp_path / "capture")
        rows = capture.census.set_index("path")
        assert list(rows.loc["holding.js · responses", ["elements 0", "elements 1"]]) == [100, 177]
        assert len(capture.snapshots) == 0
        assert all(entry["longest_pause"] > 0 for entry in capture.manifest["census"])
        earlier, later = capture.manifest["census"]
        assert later["taken_at"] - earlier["taken_at"] >= 1 + earlier["longest_pause"]
        raw = b"".join(file.read_bytes() for file in capture.folder.rglob("*") if file.is_file())
        assert b"order-5" not in raw and b"C5" not in raw


def test_a_census_is_nothing_for_python():
    with pytest.raises(CaptureError, match="--census is for Node"):
        fx.capture(os.getpid(), census=True)


def test_workers_of_a_cluster_are_captured_one_after_the_other(tmp_path):
    """All of them would listen on one port: each is shut again before the next is opened."""
    with started(script=Path(__file__).parent / "programs" / "cluster.js") as program:
        family = psutil.Process(program.pid)
        program.wait_until(lambda: len(family.children()) == 2)
        for worker in family.children():
            program.wait_until(lambda pid=worker.pid: inspector.door(pid).open)  # Node is up
            found: list[str] = []

            def counted(pid: int = worker.pid, found: list[str] = found) -> bool:
                with inspector.entered(pid) as session:
                    found[:] = [each.path for each in census(session).containers]
                return "cluster.js · held" in found

            program.wait_until(counted)  # it may not have come so far yet
            assert listening(worker.pid) == set()
        goes_on(program)
        assert len(family.children()) == 2
        assert "worker ended" not in program.log(100_000)


def test_all_workers_of_a_cluster_are_captured_by_its_primary(tmp_path):
    with started(script=Path(__file__).parent / "programs" / "cluster.js") as program:
        family = psutil.Process(program.pid)
        program.wait_until(lambda: len(family.children()) == 2)
        workers = [worker.pid for worker in family.children()]
        for pid in workers:
            program.wait_until(lambda pid=pid: inspector.door(pid).open)
        taken = fx.capture(program.pid, to=tmp_path / "cluster", workers=True)
        assert sorted(taken) == sorted(tmp_path / "cluster" / f"worker-{pid}" for pid in workers)
        assert {fx.open(folder).manifest["pid"] for folder in taken} == set(workers)
        assert all(len(fx.open(folder).snapshots) == 1 for folder in taken)
        assert all(listening(pid) == set() for pid in workers)
        goes_on(program)
    with started() as program, pytest.raises(TargetError, match="has no workers"):
        fx.capture(program.pid, to=tmp_path / "none", workers=True)
