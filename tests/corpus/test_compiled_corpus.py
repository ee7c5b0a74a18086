"""Does it find the leak in Go and Rust? One service of each kind, asked for one route after the other, and judged.

A route that was left alone does not grow any more, so one process serves all the cases: the capture of a case is taken
while that route alone is asked, and no other may be found. No clock decides how much is done between two profiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import forensics as fx
from forensics.capture import endpoint
from forensics.capture.take_profiles import ProfileOrder, take_profiles
from forensics.specimens import service as specimens
from forensics.specimens.desk import Clients
from forensics.specimens.service import Service
from tests.conftest import ORDERS, require

#: Builds, where nothing was built before.
pytestmark = pytest.mark.timeout(1800)

SNAPSHOTS = 4


@dataclass(frozen=True)
class Case:
    """A route, requests of it between two profiles, and what must be found: nothing where there is no ``function``.

    ``also`` is a rule that the evidence names beside the finding's own.
    """

    service: str
    route: str
    requests: int
    function: str = ""
    rules: str = ""
    operation: str | None = None
    also: str = ""

    def __str__(self) -> str:
        return f"{self.service}-{self.route}"


GO = [
    Case("echo", "orders", 12, "listOrders", "L01 L03", "Query"),
    Case("echo", "label", 40, "label", "L01 L03", "GetItem"),
    Case("echo", "manual", 16, "manual", "L01 L03", "GetItem", also="L17"),
    Case("echo", "notes", 90, "notes", "L13"),
    Case("echo", "visit", 6, "visit", "L05"),
    Case("echo", "tenant", 60, "tenant", "L04"),
    Case("echo", "watch", 15, "watch", "L09"),
    Case("echo", "export", 4, "export", "L02", "Scan"),
]
RUST = [
    Case("actix", "orders", 12, "list_orders", "L01 L02 L03", "Query"),
    Case("actix", "export", 4, "export", "L02", "Scan"),
    Case("actix", "tenant", 40, "tenant", "L04"),
    # The allocator samples 16 kB apart: of a channel's blocks (32 messages, 10 kB) every other one, of tasks fewer, and
    # of a map's table not every one before it has some hundred entries.
    Case("actix", "queue", 160, "queue", "L14", "Query"),
    Case("axum", "label", 200, "label", "L01 L02 L03", "GetItem"),
    # few enough for jemalloc's figures to tell the size of a block
    Case("axum", "manual", 8, "manual", "L01 L02 L03", "GetItem", also="L17"),
    Case("axum", "refused", 40, "refused", "L16", "PutItem"),
    Case("axum", "watch", 160, "watch", "L09", "Query"),
    Case("axum", "audited", 160, "audited", "L01", "GetItem"),
]
CONTROLS = [Case(name, route, 60) for name in ("echo", "actix", "axum") for route in ("recent", "spending")]
CASES = sorted((*GO, *RUST, *CONTROLS), key=lambda case: case.service)


@pytest.fixture(scope="module", params=["actix", "axum", "echo"])
def running(request, moto) -> Iterator[tuple[Service, Clients]]:
    require("go" if request.param == "echo" else "cargo", "the corpus of Go and Rust services is compiled")
    with (
        Service(getattr(specimens, request.param)("leaking"), moto) as service,
        Clients(service.url, ORDERS) as clients,
    ):
        # connections, pools and threads are there before the first case
        clients.ask(["recent", "spending"], range(40))
        yield service, clients


def captured(case: Case, service: Service, clients: Clients, folder: Path) -> fx.Findings:
    asked = iter(range(0, 1_000_000, case.requests))

    def drive(what: str, *_: float) -> None:
        if what.startswith("profile"):
            first = next(asked)
            clients.ask([case.route], range(first, first + case.requests))

    order = ProfileOrder(profiles=SNAPSHOTS, every=0, pid=service.pid, progress=drive)
    take_profiles(endpoint.at(f"{service.url}/debug/pprof"), folder, order)
    return fx.findings(folder)


def test_there_are_enough_of_both():
    assert len(GO) >= 6 and len(RUST) >= 6
    assert (
        sum(case.service == "echo" for case in CONTROLS)
        >= 2
        <= sum(case.service != "echo" for case in CONTROLS)
    )


def test_the_leak_is_found_and_named(running, tmp_path):
    service, clients = running
    wrong = []
    for case in (each for each in CASES if each.service == service.specimen.name):
        findings = captured(case, service, clients, tmp_path / case.route)
        loud = findings.at_least("low")
        names = {finding.retainer.chain[0].rpartition("::")[2].rpartition(".")[2] for finding in loud}
        if names != ({case.function} - {""}):
            wrong.append(f"{case}: {sorted(names)} found\n{findings}")
        elif case.function:
            (finding,) = loud
            operation = finding.dynamodb.operation if finding.dynamodb else None
            if finding.rule not in case.rules.split() or case.operation not in (None, operation):
                wrong.append(f"{case}: {finding.rule} {operation}\n{findings}")
            large = any("also L17" in line for line in finding.evidence)
            if large != (case.also == "L17"):
                wrong.append(f"{case}: large values {'' if large else 'not '}told\n{findings}")
    assert not wrong, "\n\n".join(wrong)
