"""``forensics demo`` on real processes, from the outside, as a person runs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest

from forensics.specimens.service import SPECIMENS

API = SPECIMENS / "fastapi" / "leaking" / "orders" / "api.py"
FORENSICS = [sys.executable, "-m", "forensics.cli"]


#: Inherited by all that a demo starts, so that only our own processes are looked at.
MARK = f"test-demo-{uuid.uuid4()}"
ENVIRONMENT = {**os.environ, "FORENSICS_TEST_MARK": MARK}


def run(*words: str | Path, code: int = 0) -> str:
    """Run the command line; standard output, once the exit code is as expected."""
    command = [*FORENSICS, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=ENVIRONMENT)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def still_running() -> list[list[str]]:
    """Command lines of what these tests started and is still there."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("FORENSICS_TEST_MARK") == MARK:
                found.append(process.cmdline())
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """One run of the demo, shared by the tests of this file."""
    out = tmp_path_factory.mktemp("demo") / "out"
    began = time.monotonic()
    printed = run("demo", "--out", out)
    return {
        "out": out,
        "printed": printed,
        "seconds": time.monotonic() - began,
        "left_running": still_running(),
    }


def lines_of(source: Path, text: str) -> set[int]:
    return {number for number, line in enumerate(source.read_text().splitlines(), 1) if text in line}


@pytest.mark.timeout(400)
def test_the_finding_names_the_variable_the_line_and_the_query(demo):
    record = json.loads(run("findings", demo["out"] / "leaking", "--json"))
    assert record["schema"] == "forensics.findings/1"
    assert record["snapshots"] == 3

    first = record["findings"][0]
    assert first["retainer"]["path"] == "orders.api.RESPONSES"
    assert first["retainer"]["kind"] == "module-variable"
    assert first["retainer"]["file"].endswith("orders/api.py")
    assert first["retainer"]["line"] in lines_of(API, "RESPONSES")
    assert first["severity"] in ("critical", "high")
    assert first["runtime"] == "python"
    assert first["dynamodb"]["operation"] == "Query"
    assert first["dynamodb"]["table"] == "Orders"
    assert first["dynamodb"]["count"] >= 50
    assert first["growth"]["shape"] == "growing"
    assert first["growth"]["bytes_per_second"] > 100_000
    assert first["retained_bytes"] > 3_000_000
    assert first["remediation"]["summary"]


def test_nothing_else_in_the_leaking_service_is_accused(demo):
    record = json.loads(run("findings", demo["out"] / "leaking", "--json"))
    accused = {
        finding["retainer"]["path"]
        for finding in record["findings"]
        if finding["severity"] != "info" and finding["retainer"]["path"] != "orders.api.RESPONSES"
    }
    assert accused == set()


def test_the_mended_service_is_clean(demo):
    record = json.loads(run("findings", demo["out"] / "mended", "--json"))
    assert [finding["title"] for finding in record["findings"] if finding["severity"] != "info"] == []


def test_fail_on_makes_the_exit_code(demo):
    run("findings", demo["out"] / "leaking", "--fail-on", "high", code=1)
    run("findings", demo["out"] / "mended", "--fail-on", "low", code=0)


def test_verify_says_fixed_and_the_other_way_round_not(demo):
    leaking, mended = demo["out"] / "leaking", demo["out"] / "mended"
    verdict = json.loads(run("verify", leaking, mended, "--json"))
    assert verdict["verdict"] == "fixed"
    run("verify", leaking, leaking, code=1)


def test_the_demo_prints_the_finding_and_the_verdict(demo):
    printed = demo["printed"]
    assert "orders.api.RESPONSES" in printed
    assert re.search(r"orders/api\.py:\d+", printed)
    assert "Query on table Orders" in printed
    assert "growing" in printed
    assert "fixed" in printed.lower()


def test_no_request_failed_by_the_load_generators_own_count(demo):
    counts = re.findall(r"(\d+) requests in [\d.]+ s \(\d+/s\), (\d+) failed", demo["printed"])
    assert len(counts) == 2
    for requests, failed in counts:
        assert int(requests) > 150
        assert int(failed) == 0


def test_no_process_is_left(demo):
    assert demo["left_running"] == []


def test_the_output_is_private_and_whole(demo):
    out = demo["out"]
    assert sorted(path.name for path in out.iterdir()) == ["leaking", "mended", "report.html"]
    report = (out / "report.html").read_text()
    assert "orders.api.RESPONSES" in report
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", report), "the report opens offline"
    for path in (out / "leaking").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_values_of_the_heap_are_not_in_the_capture(demo):
    """The orders hold e-mail addresses and streets; a masked capture must not."""
    for path in (out for out in demo["out"].rglob("*") if out.is_file()):
        content = path.read_bytes()
        assert b"@mail.example" not in content, path
        assert b"Karl-Liebknecht" not in content, path


def test_a_folder_that_exists_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    run("demo", "--out", tmp_path, code=3)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert still_running() == []


@pytest.mark.parametrize(("number", "after"), [(signal.SIGINT, "service"), (signal.SIGTERM, "capture")])
def test_interrupting_leaves_nothing_behind(tmp_path, number, after):
    out = tmp_path / "out"
    with subprocess.Popen(
        [*FORENSICS, "demo", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
    ) as process:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and process.poll() is None:
            started = (
                any((out / "leaking" / "snapshots").glob("*"))
                if after == "capture"
                else len(still_running()) >= 4
            )
            if started:
                break
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()[0].decode()
        os.kill(process.pid, number)
        printed = process.communicate(timeout=60)[0].decode()
    assert process.returncode not in (0, 3), printed
    assert "Traceback" not in printed
    assert still_running() == []
    assert not out.exists()
