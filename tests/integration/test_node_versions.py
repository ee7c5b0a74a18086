"""Other versions of Node: their snapshots are read as DevTools reads them, their processes captured by PID."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics.agent.stream import EdgeKind
from forensics.capture.node import inspector
from forensics.errors import TargetError
from forensics.formats.heapsnapshot import read, tagged
from forensics.formats.v8.graph import load
from forensics.specimens import packages
from forensics.specimens.program import Program
from forensics.specimens.service import SPECIMENS
from forensics.tracing import NODE
from tests.conftest import require
from tests.integration.test_heapsnapshot import HERE, variable
from tests.integration.test_node_capture import HOLDING, goes_on, listening, turns

VERSIONS = ("18", "22", "24")


def node_of(version: str) -> Path:
    require("npm", "other versions of Node come as npm packages")
    return packages.installed(HERE / "versions" / "package.json") / f"node{version}" / "bin" / "node"


def started(version: str, *options: str) -> Program:
    program = Program(f"Node {version}", [node_of(version), *options, HOLDING])
    program.wait_until(lambda: turns(program) > 0)
    return program


@pytest.mark.parametrize("version", VERSIONS)
def test_its_snapshots_are_read_with_devtools_own_retained_sizes(version, tmp_path):
    file = tmp_path / "known.heapsnapshot"
    subprocess.run([node_of(version), "--expose-gc", "--no-warnings", HERE / "heap.js", file], check=True)
    graph = load(file)
    holder = variable(graph, "byKey")
    inner = next(
        edge.target for edge in graph.edges_of(holder) if graph.type_name(edge.target) == "Map table"
    )
    keyed = {edge.label_text for edge in graph.edges_of(inner) if edge.kind is EdgeKind.KEY}
    assert keyed == {f"customer-{i}" for i in range(50)}
    rows = graph.code.to_pandas()
    assert rows[rows["qualname"] == "onTick"].iloc[0]["file"] == str(HERE / "heap.js")
    modules = packages.installed(HERE / "package.json")
    command = [packages.node(), HERE / "retained_sizes.mjs", file, modules]
    said = subprocess.run(command, check=True, timeout=240, capture_output=True, text=True).stdout
    ids, retained, owned = np.array([line.split() for line in said.splitlines()], np.int64).T
    assert (graph.addresses.astype(np.int64) == ids).all()
    ours = graph.retained_sizes().copy()
    ours[0] = graph.live_bytes()  # DevTools hangs from the root also what nothing holds
    assert ((ours == retained) | (owned == 1)).all()


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_captured_by_its_pid(version, tmp_path):
    with started(version) as program:
        ports = listening(program.pid)
        snapshot = fx.open(fx.capture(program.pid, to=tmp_path / "snapshot"))
        assert snapshot.manifest["runtime_version"].split(".")[0] == version
        paths = {str(path.expression) for path in _paths(snapshot.snapshots[0])}
        assert "holding.js · responses" in paths
        counted = fx.open(fx.capture(program.pid, to=tmp_path / "census", census=True)).census
        assert "holding.js · responses" in set(counted["path"])
        assert listening(program.pid) == ports
        goes_on(program)


@pytest.mark.parametrize(("version", "asked"), [("18", True), ("22", True), ("22", False), ("24", False)])
def test_the_tracer_knows_the_route_where_that_costs_nothing_or_is_asked_for(version, asked, tmp_path):
    file = tmp_path / "routes.heapsnapshot"
    environment = {"NODE_PATH": str(packages.installed(SPECIMENS / "express" / "package.json"))}
    if asked:
        environment["FORENSICS_ROUTES"] = "1"
    command = [node_of(version), "--no-warnings", HERE / "routes.js", NODE, file]
    subprocess.run(command, check=True, timeout=120, env=environment)
    (row,) = tagged(read(file))
    assert (row["operation"], row["tables"]) == ("GetItem", ["Orders"])
    assert row["context"] == ("GET /tenants/…/orders/:id" if asked or version == "24" else None)


def _paths(graph):
    for i in graph.objects_of_type("Map").tolist():
        if graph.retained_sizes()[i] > 10_000:
            yield from graph.paths_to_roots(i, limit=1)


def test_a_process_that_disables_the_signal_is_refused_and_lives():
    with started("24", "--disable-sigusr1") as program:
        assert "does not catch SIGUSR1" in inspector.door(program.pid).reason
        with pytest.raises(TargetError, match="--disable-sigusr1"):
            fx.capture(program.pid)
        goes_on(program)


def test_a_process_that_disables_the_signal_and_listens_is_captured(tmp_path):
    with started("24", "--disable-sigusr1", "--inspect=127.0.0.1:0") as program:
        assert len(fx.open(fx.capture(program.pid, to=tmp_path / "capture")).snapshots) == 1
        goes_on(program)
