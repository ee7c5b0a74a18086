"""The Echo service, leaking and mended: captured from outside by URL and by PID under load, judged, verified."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

import forensics as fx
from forensics.specimens.desk import CONTROLS, DESK, MORE
from forensics.specimens.moto import Moto
from forensics.specimens.service import Service, echo
from tests.conftest import require
from tests.integration.asking import Asking

#: Two builds, and load on two services: some minutes where the machine is busy and nothing was built before.
pytestmark = pytest.mark.timeout(900)

LEAKS = {**DESK, **MORE["echo"]}
#: Route → the rules that may name its leak. Profiles are samples: a whole output that is kept shows as items where its
#: metadata is not among them, and metadata alone as an output where what it pins is taken for data.
RULES = {
    "orders": {"L01", "L03"},
    "label": {"L03", "L01"},
    "manual": {"L03", "L01"},
    "audited": {"L11", "L01"},
    "notes": {"L13"},
    "visit": {"L05"},
    "tenant": {"L04"},
    "watch": {"L09"},
    "export": {"L02"},
}
#: Requests of each route between two profiles: what a route leaks in one request is some kB.
ROUNDS = {"audited": 4, "label": 3, "notes": 9, "tenant": 6, "watch": 2}


def forensics(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def captures(moto: Moto, tmp_path_factory) -> dict[str, Path]:
    """Both twins, captured while they serve: the leaking one by its URL, the mended one by its PID."""
    require("go", "install Go 1.26 or newer")
    taken = {}
    for variant in ("leaking", "mended"):
        folder = tmp_path_factory.mktemp("echo") / variant
        with (
            Service(echo(variant), moto) as service,
            Asking(service.url, (*LEAKS, *CONTROLS), ROUNDS) as asking,
        ):
            every = round(asking.seconds_for(12), 1)
            target = f"{service.url}/debug/pprof" if variant == "leaking" else str(service.pid)
            done = forensics("capture", target, "--snapshots", 6, "--every", every, "--to", folder)
            assert done.returncode == 0, done.stderr
            if variant == "leaking":
                plan = forensics("capture", target, "--dry-run")
                listed = json.loads(forensics("targets", "--json").stdout)["targets"]
                own = next(each for each in listed if each["pid"] == service.pid)
                assert own["runtime"] == "go" and own["endpoint"] == f"{service.url}/debug/pprof"
                assert "heap?gc=1, goroutine" in plan.stdout and str(service.pid) in plan.stdout
        for earlier, later in itertools.pairwise(fx.open(folder).manifest["allocations"]):
            # "seconds" is rounded to a millisecond
            assert later["taken_at"] - earlier["taken_at"] >= every + earlier["seconds"] - 0.001
        taken[variant] = folder
    return taken


def test_the_capture_says_what_it_is(captures):
    capture = fx.open(captures["leaking"])
    assert capture.runtime == "go" and capture.manifest["runtime_version"].startswith("1.")
    assert len(capture.memory_profiles) == len(capture.goroutines) == 6
    assert capture.manifest["complete"] and capture.process is not None
    rates = capture.manifest["rates"]
    assert 1 <= len(rates) == len(capture.rates) <= 5 and "freed or not" in str(capture)
    first, last = capture.profile_times[0], capture.profile_times[-1]
    for entry, profile in zip(rates, capture.rates, strict=True):
        assert set(profile.measures) == {"allocated"} and entry["seconds"] >= 0.9
        assert entry["allocated_bytes"] == profile.total("allocated")
        assert first < profile.origin.start < profile.origin.end < last
    assert sum(entry["allocated_bytes"] for entry in rates) > 0
    assert (
        "debug/pprof" in str(capture) and "live bytes by handler" in forensics("show", capture.folder).stdout
    )


def test_every_leak_is_found_and_named(captures):
    findings = fx.findings(captures["leaking"])
    by_function = {}
    for finding in findings.at_least("low"):
        handler = finding.retainer.chain[0].rpartition(".")[2] if finding.retainer.chain else ""
        by_function[handler] = finding
    found = {route: by_function[name].rule for route, name in LEAKS.items() if name in by_function}
    wrong = {route: found.get(route) for route in LEAKS if found.get(route) not in RULES[route]}
    assert not wrong, f"{wrong}\n{findings}"
    controls = {"recentOrder", "readSpending", "main", "loadCatalogue"} & set(by_function)
    assert not controls, findings
    large = {route for route, name in LEAKS.items() if "also L17" in str(by_function[name].evidence)}
    assert large == {"manual"}, findings
    audited = by_function["audited"]
    assert audited.rule == "L11" or any("also L11" in line for line in audited.evidence), findings
    watch = by_function["watch"]
    assert watch.retainer.path == "main.waitForChange" and watch.retainer.kind == "goroutine"
    assert by_function["listOrders"].dynamodb.operation == "Query"
    assert by_function["export"].dynamodb.operation == "Scan"
    turnover = [line for finding in findings for line in finding.evidence if "freed or not" in line]
    assert turnover and "allocates" in forensics("show", captures["leaking"]).stdout
    assert all(finding.remediation.language == "go" for finding in by_function.values())


def test_the_mended_twin_is_clean_and_verified(captures):
    findings = fx.findings(captures["mended"])
    assert not findings.at_least("low"), findings
    verification = fx.verify(captures["leaking"], captures["mended"])
    assert verification.fixed, verification
    assert len(verification.causes) >= len(LEAKS) - 1
    assert not fx.verify(captures["leaking"], captures["leaking"]).fixed


def test_diff_and_report_speak_of_the_profiles(captures, tmp_path):
    said = forensics("diff", captures["leaking"]).stdout
    assert "live bytes" in said and "main.(*helpDesk).visit" in said
    page = fx.report(captures["leaking"], tmp_path / "report.html").read_text()
    assert "waitForChange" in page and "LoadDefaultConfig" in page
