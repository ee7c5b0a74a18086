"""What runs here, what it allows and what it would cost, held against processes that really run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

import forensics as fx
from forensics.capture import cgroup, guard, remote_exec, targets
from forensics.errors import CaptureError, TargetError
from tests.integration.running import interpreters, running, wait_until

INTERPRETERS = interpreters()
MB = 1 << 20


@contextmanager
def process(*command: str, **options) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    ) as started:
        try:
            yield started
        finally:
            for child in (
                psutil.Process(started.pid).children(recursive=True) if started.poll() is None else []
            ):
                child.kill()
            started.kill()


@pytest.mark.parametrize("version", INTERPRETERS)
def test_lists_each_interpreter_with_its_full_version(version: str) -> None:
    with running("sleep", interpreter=INTERPRETERS[version]) as target:
        found = next(each for each in fx.targets() if each.pid == target.pid)
        assert (found.runtime, found.version) == ("python", version)
        assert found.rss == pytest.approx(psutil.Process(target.pid).memory_info().rss, rel=0.2)
        assert 0 <= found.uptime < 60
        assert found.user == psutil.Process(target.pid).username()
        assert "injector" in found.open_ways
        closed = {way.name: way.reason for way in found.ways if not way.open}
        assert closed["agent"] == "the service does not `import forensics.agent`"
        if tuple(map(int, version.split(".")[:2])) >= remote_exec.FIRST:
            assert "remote_exec" in found.open_ways
        else:
            assert closed["remote_exec"].startswith("it needs Python 3.14")
        assert found.pause_seconds
        assert found.extra_bytes
        assert target.finish() == "fine"


def test_text_html_json_and_pandas_show_the_same_targets() -> None:
    with running("sleep") as target:
        found = targets.targets()
        text, html, frame = str(found), found._repr_html_(), found.to_pandas()
        assert str(target.pid) in text
        assert f">{target.pid}</td>" in html
        assert target.pid in set(frame.pid)
        assert target.pid in {each["pid"] for each in json.loads(json.dumps(found.to_dict()))["targets"]}
        assert target.finish() == "fine"


_LISTENER = """
import socket, sys, time
ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(each.getsockname()[1] for each in ports), flush=True)
time.sleep(120)
"""


def test_two_services_are_told_apart_by_command_and_ports(tmp_path: Path) -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"
    with contextlib.ExitStack() as stack:
        services, ports = {}, {}
        for name in ("orders", "stock"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "main.py").write_text(_LISTENER)
            command = [sys.executable, "-u", str(tmp_path / name / "main.py"), "--key", secret]
            started = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(started.kill)
            assert started.stdout is not None
            ports[name] = sorted(map(int, started.stdout.readline().split()))
            services[name] = started.pid

        def listed(columns: int, *options: str) -> str:
            return subprocess.run(
                [sys.executable, "-m", "forensics.cli", "targets", *options],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, "COLUMNS": str(columns)},
            ).stdout

        rows = {each["pid"]: each for each in json.loads(listed(80, "--json"))["targets"]}
        wide, narrow = listed(200), listed(80)
        frame = targets.targets().to_pandas().set_index("pid")
        for name, pid in services.items():
            row = rows[pid]
            assert row["command"] == f"{name}/main.py --key ***"
            assert row["ports"] == ports[name]
            # what was there before still is
            assert row["name"] and row["command_line"][-1] == secret and row["rss"] > 0
            line = next(line for line in wide.splitlines() if line.split()[:1] == [str(pid)])
            # (they are this interpreter's children, and so said to be its workers)
            assert f"  {name}/main.py --key ***; worker of {os.getpid()}  " in line
            assert f"  {ports[name][0]}, {ports[name][1]}  python " in line
            assert re.search(rf"^ *{pid}  {name}/", narrow, re.MULTILINE)
            assert str(ports[name][0]) in narrow
            assert (frame.command[pid], list(frame.ports[pid])) == (row["command"], ports[name])
        assert max(map(len, narrow.splitlines())) <= 80
        assert secret not in narrow + wide


def test_a_node_process_says_how_it_is_captured(require) -> None:
    node = require("node", "install Node.js 20 or later")
    with process(node, "-e", "setTimeout(() => {}, 60000)") as started:
        wait_until(lambda: os.readlink(f"/proc/{started.pid}/exe").endswith(("node", "nodejs")))
        found = next(each for each in targets.targets() if each.pid == started.pid)
        expected = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
        assert (found.runtime, f"v{found.version}") == ("node", expected)
        with pytest.raises(TargetError, match="it is a Node process") as caught:
            targets.inspect(started.pid)
        assert "DevTools protocol" in str(caught.value)


@pytest.mark.parametrize("mode", ["exe", "pie"])
def test_a_go_process_is_known_by_its_build_information(mode: str, require, tmp_path: Path) -> None:
    """A position-independent one asks for glibc's loader, and never for its C library."""
    go = require("go", "install Go 1.22 or later")
    (tmp_path / "main.go").write_text(
        'package main\nimport "time"\nfunc main() { time.Sleep(time.Minute) }\n'
    )
    environment = {
        **os.environ,
        "GOCACHE": str(tmp_path / "cache"),
        "GOFLAGS": "-mod=mod",
        "CGO_ENABLED": "0",
    }
    binary = str(tmp_path / "sleeper")
    subprocess.run(
        [go, "build", f"-buildmode={mode}", "-o", binary, str(tmp_path / "main.go")],
        check=True,
        env=environment,
    )
    version = subprocess.run([go, "version", binary], capture_output=True, text=True, check=True).stdout
    with process(binary) as started:
        found = targets.look_at(started.pid)
        assert (found.command, found.ports) == ("sleeper", ())
        assert (found.runtime, f"go{found.version}") == ("go", version.split()[-1])
        assert "pprof" in found.how


@pytest.mark.parametrize("pid", [0, -1, 4194300])
def test_a_pid_that_is_not_there(pid: int) -> None:
    with pytest.raises(TargetError, match=f"There is no process {pid} here"):
        targets.inspect(pid)


def test_a_process_that_ended_but_was_not_waited_for() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
        with pytest.raises(TargetError, match="There is no process"):
            targets.inspect(child.pid)
    finally:
        child.wait()


def test_a_process_of_another_kind() -> None:
    with process("sleep", "60") as started:
        wait_until(lambda: os.readlink(f"/proc/{started.pid}/exe").endswith("sleep"))
        with pytest.raises(TargetError, match="is not a Python process, nor one of Node, Go or Rust"):
            targets.inspect(started.pid)


def test_a_traced_process_is_closed_and_says_by_whom() -> None:
    with running("sleep") as target:
        code = (
            "import ctypes, sys, time; libc = ctypes.CDLL(None);"
            "assert libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0; print('on', flush=True); time.sleep(60)"
        )
        tracer = subprocess.Popen([sys.executable, "-c", code, str(target.pid)], stdout=subprocess.PIPE)
        try:
            assert tracer.stdout is not None
            assert tracer.stdout.readline() == b"on\n"
            ways = {way.name: way for way in targets.inspect(target.pid).ways}
            assert ways["injector"].reason == f"process {tracer.pid} traces it already"
            with pytest.raises(TargetError, match="traces it already"):
                fx.capture(target.pid)
        finally:
            tracer.kill()
            tracer.communicate()
        assert target.finish() == "fine"


_APPLICATION = """
HELD = {}

async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    HELD[len(HELD)] = [scope["path"]] * 3
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_a_uvicorn_master_leads_to_its_workers(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "served.py").write_text(_APPLICATION)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "served:application",
        "--workers",
        "2",
        "--port",
        str(free_port),
    ]
    with process(*command, cwd=tmp_path) as master:

        def serves() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{free_port}/x").text == "ok"
            except httpx.HTTPError:
                return False

        wait_until(serves, 30)
        wait_until(lambda: len(targets.inspect(master.pid).workers) == 2)
        workers = targets.inspect(master.pid).workers
        by_pid = {each.pid: each for each in targets.targets()}
        assert by_pid[master.pid].command == f"uvicorn served:application --workers 2 --port {free_port}"
        assert by_pid[master.pid].ports == (free_port,)
        assert by_pid[master.pid].role == "master of 2"
        assert {by_pid[worker].master for worker in workers} == {master.pid}
        with pytest.raises(TargetError, match="master of 2 workers") as caught:
            fx.capture(master.pid, to=tmp_path / "one")
        assert str(workers[0]) in str(caught.value)
        folders = fx.capture(master.pid, to=tmp_path / "all", workers=True)
        assert len(folders) == 2
        for folder in folders:
            assert fx.open(folder).manifest["pid"] in workers
        assert serves()


# -- cost before action --------------------------------------------------------------------------------------


def test_a_plan_touches_nothing_and_shows_what_was_checked() -> None:
    with running("large") as target:
        threads = os.listdir(f"/proc/{target.pid}/task")
        plan = fx.plan(target.pid)
        assert plan.allowed
        assert plan.way == "injector"
        checks = {check.name for check in plan.checks}
        assert {"way in", "walker", "memory", "memory.oom.group", "disk", "stopped"} <= checks
        assert re.search(r"pause of each snapshot +\d+ ms", str(plan))
        assert "It can be taken" in str(plan)
        assert json.loads(json.dumps(plan.to_dict(), default=str))["allowed"] is True
        assert set(plan.to_pandas().columns) == {"name", "passed", "found"}
        for check in plan.checks:
            assert check.name in plan._repr_html_()
        # THEN no thread was started in it, and no socket opened
        assert os.listdir(f"/proc/{target.pid}/task") == threads
        assert target.finish() == "fine"


def test_what_a_plan_foretells_is_of_the_size_of_what_happens(tmp_path: Path) -> None:
    with running("large") as target:
        foretold = fx.plan(target.pid).cost
        folder = fx.capture(target.pid, to=tmp_path / "capture")
        graph = fx.open(folder).snapshots[0]
        size = sum(file.stat().st_size for file in (tmp_path / "capture" / "snapshots" / "000").iterdir())
        assert 0.4 < foretold.objects / len(graph) < 2.5
        assert 0.4 < foretold.disk_bytes / size < 2.5
        assert target.finish() == "fine"


@contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A control group of version 1 with a memory limit, where one can be made."""
    folder = Path(f"/sys/fs/cgroup/memory/forensics-test-{os.getpid()}-{time.monotonic_ns()}")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(limit))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        yield folder
    finally:
        wait_until(lambda: not (folder / "cgroup.procs").read_text())
        folder.rmdir()


def test_no_headroom_in_a_group_refuses_with_the_figures(tmp_path: Path) -> None:
    with memory_group(120 * MB) as group, running("large") as target:
        (group / "cgroup.procs").write_text(str(target.pid))
        # What it had is counted where it was; so the group is filled until little is left.
        filler = "import time; held = bytearray(105 << 20); print('full', flush=True); time.sleep(120)"
        with subprocess.Popen(
            [sys.executable, "-c", filler],
            stdout=subprocess.PIPE,
            preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None,
        ) as full:
            try:
                assert full.stdout is not None
                assert full.stdout.readline() == b"full\n"
                with pytest.raises(CaptureError, match="too little memory") as caught:
                    fx.capture(target.pid, to=tmp_path / "capture", walker="python")
                assert caught.value.data["needed"] > caught.value.data["headroom"]
                assert str(group) in str(caught.value)
                assert re.search(r"\d+ MiB", str(caught.value))
                assert not (tmp_path / "capture").exists()
                plan = fx.plan(target.pid, walker="python")
                assert not plan.allowed
                assert "It would be refused" in str(plan)
            finally:
                full.kill()
        target.unharmed()
        assert target.finish() == "fine"


def write_group(folder: Path, **files: str | int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_the_tightest_group_above_a_process_counts(tmp_path: Path) -> None:
    # A tree as version 2 lays it out, with our own path in it: /pod (limit 100 MB) / service (no limit).
    version_2 = tmp_path / "v2"
    own = next(
        (
            line.split(":", 2)
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        ),
        None,
    )
    if own is None:
        pytest.skip("this kernel has no control groups of version 2")
    leaf = version_2.joinpath(*[part for part in own[2].split("/") if part])
    write_group(
        leaf,
        memory__current=90 * MB,
        memory__max=100 * MB,
        memory__stat=f"inactive_file {5 * MB}",
        memory__oom__group=1,
    )
    (leaf / "memory.swap.max").write_text("0\n")
    found = cgroup.memory_group(os.getpid(), version_2)
    assert found is not None
    assert found.headroom == 15 * MB
    assert found.kills_as_one
    assert found.swap_left == 0


def test_where_the_whole_container_would_die_more_room_is_asked_for() -> None:
    memory = guard.Memory(resident=1000 * MB, anonymous=900 * MB, swapped=0)
    cost = guard.foretell(memory, native=True)

    def needed(kills_as_one: bool) -> int:
        group = cgroup.MemoryGroup("/pod", 1000 * MB, 2000 * MB, 0, 0, kills_as_one)
        room = guard.Room(1000 * MB, "the control group /pod", group)
        return guard.needed_room(cost, memory, room, native=True, in_place=False)

    assert needed(True) == 990 * MB
    assert needed(False) == cost.needed_bytes < 450 * MB


def test_the_python_walker_is_never_let_into_the_process_itself(tmp_path: Path) -> None:
    with running("sleep") as target:
        with pytest.raises(CaptureError, match="does not walk in the process itself"):
            fx.capture(target.pid, to=tmp_path / "capture", walker="python", in_place=True)
        assert target.finish() == "fine"
