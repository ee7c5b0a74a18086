"""Captures of services under load: no request fails, no worker restarts, none is harmed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

import forensics as fx
from forensics.capture import injector
from forensics.errors import TargetError
from tests.integration.running import running, wait_until
from tests.integration.serving import served, under_load, uvicorn

pytestmark = pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or "")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_no_request_fails_while_captures_are_taken(
    loop: str, workers: int, tmp_path: Path, free_port: int
) -> None:
    with served(uvicorn(free_port, loop, workers), free_port, workers) as service:
        with under_load(service.port) as seen:
            for number in range(4):
                worker = service.workers[number % workers]
                folder = fx.capture(worker, to=tmp_path / str(number))
                assert fx.open(folder).manifest["complete"]
        answers = seen[0]
        assert answers.failed == 0, answers.reasons
        assert len(answers.seconds) > 200
        # THEN the same processes serve on, and none traces or walks them
        for worker in service.workers:
            assert psutil.Process(worker).is_running()
            assert "\nTracerPid:\t0\n" in Path(f"/proc/{worker}/status").read_text()


def test_a_gunicorn_master_leads_to_its_workers(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "wsgi.py").write_text(
        "HELD = [[str(i)] for i in range(1000)]\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '3')])\n"
        "    return [b'{1}']\n"
    )
    command = [sys.executable, "-m", "gunicorn", "wsgi:application", "--chdir", str(tmp_path)]
    options = ["--workers", "2", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "30"]
    with served([*command, *options, "--bind", f"127.0.0.1:{free_port}"], free_port, 2) as service:
        with pytest.raises(TargetError, match="master of 2 workers"):
            fx.capture(service.master, to=tmp_path / "master")
        with under_load(service.port, clients=3) as seen:
            folders = fx.capture(service.master, to=tmp_path / "all", workers=True)
        assert sorted(fx.open(folder).manifest["pid"] for folder in folders) == sorted(service.workers)
        # THEN no request failed, and the master has replaced no worker
        assert seen[0].failed == 0, seen[0].reasons
        assert sorted(each.pid for each in psutil.Process(service.master).children()) == sorted(
            service.workers
        )


def test_forty_captures_in_a_row_of_a_busy_process(tmp_path: Path) -> None:
    # tests/benchmarks/endurance.py takes five hundred.
    with running("malloc", "3") as target:
        before = None
        for number in range(40):
            folder = fx.capture(target.pid, to=tmp_path / str(number))
            assert fx.open(folder).manifest["complete"]
            wait_until(lambda: len(os.listdir(f"/proc/{target.pid}/task")) == 4)
            maps = len(Path(f"/proc/{target.pid}/maps").read_text().splitlines())
            before = before or maps
        # THEN it grows by no mapping a capture: what was loaded once is used again
        assert maps < before + 40
        target.unharmed()
        assert target.finish(60) == "fine"
