"""The actix and axum services, leaking and mended: captured from outside by URL and by PID, judged, verified."""

from __future__ import annotations

from pathlib import Path

import pytest

import forensics as fx
from forensics.rules.by_handlers.statics import growing_statics
from forensics.specimens import service as specimens
from forensics.specimens.desk import CONTROLS, MORE, RUST_DESK
from forensics.specimens.moto import Moto
from forensics.specimens.service import Service
from tests.conftest import require
from tests.integration.asking import Asking

#: The crates of both are compiled where nothing was built before: some minutes on two busy cores.
pytestmark = pytest.mark.timeout(1800)

#: Route → the rules that may name its leak. Maps and lists of outputs or items look alike to an
#: allocator that samples.
RULES = {
    "orders": {"L01", "L02", "L03"},
    "label": {"L01", "L02", "L03"},
    "export": {"L02"},
    "tenant": {"L04"},
    "queue": {"L14"},
    "watch": {"L09"},
    "audited": {"L01"},
    "manual": {"L01", "L02", "L03"},
    "refused": {"L16"},
}
OPERATIONS = {
    "orders": "Query",
    "label": "GetItem",
    "export": "Scan",
    "queue": "Query",
    "watch": "Query",
    "manual": "GetItem",
    "refused": "PutItem",
}
#: Requests of each route between two profiles: what a route leaks in one request is some kB.
#: The allocator samples 16 kB apart: of a channel's blocks (32 messages, 10 kB) every other one, of tasks fewer, and of
#: a map's table not every one before it has some hundred entries.
ROUNDS = {"audited": 16, "label": 24, "tenant": 3, "watch": 14, "queue": 14}


def leaks(name: str) -> dict[str, str]:
    """Route → function of a specimen's leaks."""
    return {**RUST_DESK, **MORE.get(name, {})}


@pytest.fixture(scope="module", params=["actix", "axum"])
def captures(request, moto: Moto, tmp_path_factory) -> dict[str, Path]:
    """Both twins of a framework, captured while they serve: the leaking one by its URL, the mended one by its PID."""
    require("cargo", "install Cargo 1.95 or newer")
    require("addr2line", "install binutils: it names the frames of a Rust program")
    taken = {}
    for variant in ("leaking", "mended"):
        specimen = getattr(specimens, request.param)(variant)
        folder = tmp_path_factory.mktemp(request.param) / variant
        with (
            Service(specimen, moto) as service,
            Asking(service.url, (*leaks(request.param), *CONTROLS), ROUNDS) as asking,
        ):
            every = round(asking.seconds_for(12), 1)
            target = f"{service.url}/debug/pprof" if variant == "leaking" else service.pid
            fx.capture(target, to=folder, snapshots=4, every=every)
        taken[variant] = folder
    return taken


def test_every_leak_is_found_and_its_handler_named(captures):
    capture = fx.open(captures["leaking"])
    assert capture.runtime == "rust" and len(capture.memory_profiles) == 4
    findings = fx.findings(captures["leaking"])
    by_function = {finding.retainer.path.rpartition("::")[2]: finding for finding in findings.at_least("low")}
    program = "actix_leaking" if "actix" in capture.manifest["command_line"][0] else "axum_leaking"
    desk = leaks(program.partition("_")[0])
    found = {route: by_function[name].rule for route, name in desk.items() if name in by_function}
    wrong = {route: found.get(route) for route in desk if found.get(route) not in RULES[route]}
    assert not wrong, f"{wrong}\n{findings}"
    controls = {"recent", "read_spending", "read_order", "main"} & set(by_function)
    assert not controls, findings
    for route in OPERATIONS.keys() & desk.keys():
        assert by_function[desk[route]].dynamodb.operation == OPERATIONS[route], route
    large = {route for route, name in desk.items() if "also L17" in str(by_function[name].evidence)}
    # jemalloc tells sizes by few samples only, and how many there are between two profiles is the clock's here: that it
    # is said is for the corpus to assert
    assert large <= {"manual"}, findings
    for finding in by_function.values():
        assert finding.remediation.language == "rust" and finding.growth.shape == "growing"
    # which static holds it: found in the memory, beside the service
    grown = {each.name: each for each in growing_statics(capture.manifest["allocations"])}
    for name in ("RESPONSES", "LABELS"):
        table = grown[f"{program}::{name}"]
        assert table.proved and table.container == "hash table", table
        assert any(table.name in line for line in by_function["list_orders"].evidence)
    for name in (f"{program}::EXPORTED", f"{program}::TENANTS", "orders::journal::BODIES"):
        assert grown[name].container == "vector" and not grown[name].proved
    listed = by_function["list_orders"].retainer
    assert listed.file.endswith("src/leaking.rs") and listed.line > 0


def test_the_mended_twin_is_clean_and_verified(captures):
    findings = fx.findings(captures["mended"])
    assert not findings.at_least("low"), findings
    verification = fx.verify(captures["leaking"], captures["mended"])
    assert verification.fixed, verification
    assert len(verification.causes) >= len(RUST_DESK)
    assert not fx.verify(captures["leaking"], captures["leaking"]).fixed
