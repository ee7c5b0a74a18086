"""The tracer for Node in a real Express service: findings then say which call it was, and not what it may have been."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest

import forensics as fx
from forensics.capture.node.take import take
from forensics.capture.take import Order
from forensics.dynamodb.recognise import recognise
from forensics.dynamodb.vocabulary import Kind
from forensics.formats.heapsnapshot import read, tagged
from forensics.formats.importing import import_files
from forensics.specimens import packages
from forensics.specimens.service import SPECIMENS, Service, node_program
from forensics.tracing import NODE
from tests.conftest import require
from tests.corpus.test_node_corpus import SNAPSHOTS, Driven

HERE = Path(__file__).parent / "node"
EACH = 12
ASKED = EACH * SNAPSHOTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The service, and beside it the tracer by the command that the documentation gives."""
    require("npm", "the traced service is an Express service")
    home = tmp_path_factory.mktemp("traced")
    for name in ("traced.js", "reports.mjs"):
        shutil.copy(HERE / name, home)
    command = (
        f"cp \"$({sys.executable} -c 'import forensics.tracing as t; print(t.NODE)')\" dynamodb-tracing.cjs"
    )
    subprocess.run(command, shell=True, check=True, cwd=home)
    return home


@pytest.fixture(scope="module")
def captures(folder, moto) -> tuple[fx.Capture, fx.Capture]:
    """Under load, and after everything was dropped."""
    specimen = node_program("traced", "leaking", folder / "traced.js")
    environment = {"NODE_OPTIONS": "--inspect-port=0", "FORENSICS_ROUTES": "1"}
    with Service(specimen, moto, environment=environment) as service:
        alike = httpx.get(f"{service.url}/alike", timeout=60, trust_env=False).raise_for_status().json()
        assert alike["traced"] == alike["untraced"]
        assert alike["failed"] == "ResourceNotFoundException"
        driven = Driven(service.url, EACH, "/shop/orders")
        driven.drive()
        order = Order(snapshots=0, trigger=driven, watch=240, sample_every=0.2)
        take(service.pid, folder / "full", order)
        httpx.get(f"{service.url}/drop", timeout=60, trust_env=False).raise_for_status()
        take(service.pid, folder / "dropped", Order(snapshots=1))
        assert service.program.running
    return fx.open(folder / "full"), fx.open(folder / "dropped")


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def test_every_holder_is_traced_to_its_call(captures, folder):
    service, reports = folder / "traced.js", folder / "reports.mjs"
    ask = f"{service}:{line_of(service, 'return through.send(')}"
    paged = f"{reports}:{line_of(reports, 'for await')}"
    loud = {each.retainer.path: each for each in captures[0].findings() if each.severity != "info"}
    for holder, operation, site in (
        ("orders", "Query", ask),
        ("bound", "GetItem", ask),
        ("pages", "Query", paged),
    ):
        finding = loud[f"traced.js · {holder}"]
        assert (finding.dynamodb.operation, finding.dynamodb.table) == (operation, "Orders"), finding
        traced = [line for line in finding.evidence if line.startswith("traced: ")]
        told = f"{operation} responses of Orders fetched at {site} during GET /shop/orders/:customer are still here"
        assert len(traced) == 1 and told in traced[0], finding.evidence


def test_the_responses_that_are_held_are_listed_and_no_others(captures):
    noted = captures[0].responses
    assert set(noted["snapshot"]) == set(range(SNAPSHOTS))
    last = noted[noted["snapshot"] == SNAPSHOTS - 1]
    assert last["time"].is_monotonic_increasing and last["held"].all()
    assert last["request_id"].str.fullmatch("[A-Za-z0-9-]{20,64}").all()
    held = last.groupby(["operation", "function"]).size().to_dict()
    assert held["GetItem", "ask"] >= ASKED
    assert abs(held["Query", "ask"] - ASKED) <= 3
    assert held["Query", "pagesOf"] == 2 * ASKED
    # the answers that nobody keeps are gone, but for what is on its way
    assert last["tables"].map(lambda names: "Products" in names).sum() <= 3


def test_the_tracer_keeps_no_response_alive(captures):
    noted = captures[1].responses
    assert noted is None or len(noted) <= 5
    assert len(captures[0].responses) > 3 * ASKED


def test_what_it_remembers_is_bounded_and_read_from_an_imported_file_too(tmp_path):
    node = require("node", "the tracer is JavaScript")
    file = tmp_path / "many.heapsnapshot"
    modules = packages.installed(SPECIMENS / "express" / "package.json")
    command = [node, HERE / "many_sites.js", NODE, file]
    subprocess.run(command, check=True, timeout=120, env={"NODE_PATH": str(modules), "NODE_NO_WARNINGS": "1"})
    raw = read(file)
    sites = raw.strings.index(pa.scalar("ForensicsSite", pa.large_string())).as_py()
    assert 4000 < np.count_nonzero((raw.names == sites) & (raw.types == raw.node_type("object"))) <= 4100
    rows = tagged(raw)
    assert len(rows) <= 3  # the last answers may still lie in a register
    row = rows[-1]
    assert (row["operation"], row["tables"], row["request_id"]) == ("GetItem", ["T-5999"], "r-1")
    assert (row["file"], row["line"]) == ("/srv/app/f5999.js", 6000)
    capture = fx.open(import_files([file], tmp_path / "imported"))
    objects = recognise(capture.snapshots[0])
    # nothing else tells that the one item that is kept came from DynamoDB
    kept = objects.objects[objects.kinds == Kind.RESOURCE_ITEM]
    assert 1 <= len(kept) <= 3
    found = capture.responses
    assert found["tag_address"].tolist() == [row["tag_address"] for row in rows]
