"""Does it find the leak in Express? Every service captured live by its PID while it is driven, and judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import forensics as fx
from forensics.capture.node.take import take
from forensics.capture.take import Order
from forensics.findings import Finding
from forensics.specimens.service import Service, node_program
from tests.conftest import require
from tests.corpus.tables import add

SERVICES = Path(__file__).parent / "node" / "services"
CASES = sorted(file.stem for file in SERVICES.glob("*.js"))
CUSTOMERS = 100
ROUND = 30
SNAPSHOTS = 3


def expectations(name: str) -> dict[str, str]:
    """The ``key: value`` lines at the top of a service; a control has none."""
    head = SERVICES.joinpath(f"{name}.js").read_text().split("'use strict'")[0]
    return dict(
        re.findall(r"^// (rule|holder|retainer|kind|operation|table|evidence): (.+)$", head, re.MULTILINE)
    )


@dataclass
class Driven:
    """A trigger for ``Order``: requests, a snapshot, requests, a snapshot …; no clock decides how much is done."""

    url: str
    each: int = ROUND
    route: str = "/orders"
    taken: int = 0
    asked: int = 0

    @dataclass(frozen=True)
    class Decision:
        take: bool
        reason: str
        finished: bool

    def drive(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as http:
            for _ in range(self.each):
                answer = http.get(f"{self.route}/C{self.asked % CUSTOMERS:05d}")
                assert answer.status_code == 200, answer.text
                self.asked += 1

    def feed(self, sample: Mapping[str, float | None]) -> Decision:
        if self.taken:
            self.drive()
        self.taken += 1
        return self.Decision(True, f"round {self.taken}", self.taken == SNAPSHOTS)

    def took(self, size: int) -> None:
        """Nothing depends on the size."""


def captured(name: str, moto, folder: Path) -> fx.Capture:
    require("npm", "the corpus of Express services needs Node.js with npm")
    specimen = node_program(name, "leaking", SERVICES / f"{name}.js")
    with Service(specimen, moto, environment={"NODE_OPTIONS": "--inspect-port=0"}) as service:
        driven = Driven(service.url)
        driven.drive()
        take(service.pid, folder, Order(snapshots=0, trigger=driven, watch=240, sample_every=0.2))
        assert service.program.running
    return fx.open(folder)


def test_there_are_enough_of_both():
    assert sum(bool(expectations(name)) for name in CASES) >= 10
    assert sum(not expectations(name) for name in CASES) >= 4
    for name in CASES:
        assert bool(expectations(name)) != name.startswith("control_")


@pytest.fixture(scope="module")
def tables(moto):
    """The session's DynamoDB, and in it also sessions with tokens, and guides with long texts."""
    add(moto.client("dynamodb"), "Sessions", "Guides")
    return moto


@pytest.mark.parametrize("name", CASES)
def test_the_leak_is_found_and_named(name, tables, tmp_path):
    capture = captured(name, tables, tmp_path / "capture")
    loud = [finding for finding in capture.findings() if finding.severity != "info"]
    seen = "\n".join(map(described, loud)) or "nothing"
    wanted = expectations(name)
    if not wanted:
        assert not loud, seen
        return
    assert len(loud) == 1, seen
    finding = loud[0]
    assert finding.rule in wanted["rule"].split(), seen
    holders = wanted["holder"].split("|")
    assert any(
        finding.retainer.path == each or (len(holders) > 1 and each in finding.retainer.path)
        for each in holders
    ), seen
    assert finding.retainer.kind in wanted["retainer"].split(), seen
    assert finding.retainer.file and finding.retainer.file.endswith(f"{name}.js"), finding.retainer
    assert finding.growth.shape == "growing", seen
    data = finding.dynamodb
    assert data is not None and data.kind in wanted["kind"].split(), seen
    for what in ("operation", "table"):
        if what in wanted:
            assert getattr(data, what) == wanted[what], seen
    assert wanted.get("evidence", "") in "\n".join(finding.evidence), finding.evidence
    assert finding.remediation.language == "javascript"


def described(finding: Finding) -> str:
    data = finding.dynamodb
    what = f"{data.kind} {data.operation} {data.table} x{data.count}" if data else "not DynamoDB"
    return f"{finding.rule} {finding.severity} [{finding.retainer.kind}] {finding.retainer.path} · {what}"
