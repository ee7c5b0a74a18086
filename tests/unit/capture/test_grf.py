"""``--chains``: grf is found or explained, foretold, and run within bounds.

Its part is played by small programs that do what grf does at the boundary of a process (the real one's output is a
recorded file); where grf itself is installed, it walks the live service.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import forensics as fx
from forensics.capture import grf
from forensics.errors import CaptureError
from forensics.specimens.desk import Clients
from forensics.specimens.moto import Moto
from forensics.specimens.service import Service, echo
from tests.conftest import ORDERS, require

FILE = Path(__file__).parents[2] / "data" / "profiles" / "go-references.pb.gz"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a program of the name grf where ``go install`` does; gives how."""
    others = [each for each in os.environ["PATH"].split(os.pathsep) if not (Path(each) / "grf").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(others))
    monkeypatch.setenv("GOPATH", str(tmp_path / "go"))
    monkeypatch.delenv("GOBIN", raising=False)

    def install(script: str) -> Path:
        program = tmp_path / "go" / "bin" / "grf"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return install


def test_it_is_found_where_go_installs_it(installed):
    assert grf.find() is None
    program = installed("exit 0")
    assert grf.find() == grf.required() == str(program)


def test_without_it_the_command_that_installs_it_is_told(installed):
    with pytest.raises(CaptureError, match="neither on PATH nor in GOBIN") as caught:
        grf.required()
    assert "go install github.com/cloudwego/goref/cmd/grf@v0.0.11" in caught.value.advice
    assert "grf core" in caught.value.advice and "forensics import" in caught.value.advice


def test_what_it_writes_is_kept_and_nothing_is_left_in_the_home(installed, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    installed(f'test "$1 $2 $3" = "attach {os.getpid()} -o" && touch "$XDG_CONFIG_HOME/c" && cp {FILE} "$4"')
    said = []
    seconds = grf.walk(os.getpid(), tmp_path / "out", lambda *words: said.append(words))
    assert (tmp_path / "out").read_bytes() == FILE.read_bytes() and seconds > 0
    assert not (tmp_path / "home").exists()
    assert all("stands still" in stage for stage, _, _ in said)


def test_what_it_says_when_it_fails_is_passed_on(installed, tmp_path):
    installed("echo 'could not attach to pid: operation not permitted' >&2; exit 1")
    with pytest.raises(CaptureError, match="operation not permitted") as caught:
        grf.walk(os.getpid(), tmp_path / "out")
    assert "ptrace_scope" in caught.value.advice and not (tmp_path / "out").exists()


def test_it_is_ended_when_it_takes_much_longer_than_was_foretold(installed, tmp_path, monkeypatch):
    installed(f"echo $$ > {tmp_path}/pid; exec sleep 600")
    monkeypatch.setattr(grf, "_AT_LEAST", 0.5)
    monkeypatch.setattr(grf, "_PATIENCE", 0.0)
    with pytest.raises(CaptureError, match="was killed"):
        grf.walk(os.getpid(), tmp_path / "out")
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_a_larger_process_is_foretold_to_stand_still_for_longer():
    # the child says when it has touched its memory
    code = "import sys; kept = bytearray(b'x') * {}; print(len(kept), flush=True); sys.stdin.read()"
    told = []
    for size in (1, 200_000_000):
        with subprocess.Popen(
            [sys.executable, "-c", code.format(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            child.stdout.readline()
            told.append(grf.foretold(child.pid))
            child.stdin.close()
    assert told[0] < 30 < told[1]


def test_a_python_process_has_its_own_graph(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        with pytest.raises(CaptureError, match="and this is none"):
            fx.capture(child.pid, to=tmp_path / "c", chains=True)
        child.stdin.close()
    assert not (tmp_path / "c").exists()


def test_the_live_service(moto: Moto, tmp_path):
    """With grf the variable that holds the responses is named; without it nothing is taken and the way is told."""
    require("go", "install Go 1.26 or newer")
    with Service(echo("leaking"), moto) as service, Clients(service.url, ORDERS) as clients:
        clients.ask(["orders"], range(12))
        plan = fx.plan(service.pid)
        if grf.find() is None:
            assert grf.INSTALL in str(plan)
            with pytest.raises(CaptureError, match="Reference chains of a Go process were asked for"):
                fx.capture(service.pid, to=tmp_path / "c", chains=True)
            assert not (tmp_path / "c").exists()
        else:
            assert "grf stops the process for about" in str(plan)
            capture = fx.open(fx.capture(service.pid, to=tmp_path / "c", chains=True))
            assert "main.responses[…]" in {node.path for node in capture.chains().nodes}
            assert capture.manifest["references"]["seconds"] > 0 and capture.manifest["complete"]
        clients.ask(["orders"], range(3))  # it serves on


def test_a_capture_whose_chains_failed_keeps_its_profiles(installed, moto: Moto, tmp_path, monkeypatch):
    require("go", "install Go 1.26 or newer")
    with Service(echo("leaking"), moto) as service:
        installed("echo 'no debug info' >&2; exit 1")
        with pytest.raises(CaptureError, match="no debug info"):
            fx.capture(service.pid, to=tmp_path / "c", chains=True)
    capture = fx.open(tmp_path / "c")
    assert len(capture.memory_profiles) == 1 and "no debug info" in capture.manifest["cut_short"]
    assert capture.references is None
