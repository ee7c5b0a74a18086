"""Snapshots that Node itself wrote: what is in them, and retained sizes beside those of DevTools' own code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import forensics as fx
from forensics.agent.stream import EdgeKind
from forensics.errors import FormatError
from forensics.formats.v8.graph import load
from forensics.heap.diff import diff
from forensics.heap.graph import HeapGraph
from forensics.rules import Evidence, judge
from forensics.specimens import packages
from forensics.specimens.shrinking import folded
from tests.conftest import require

HERE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("v8") / "known.heapsnapshot"
    node = require("node", "the tests of heap snapshots need Node.js")
    command = [node, "--expose-gc", "--no-warnings", HERE / "heap.js", file]
    subprocess.run(command, check=True, timeout=120)
    return file


@pytest.fixture(scope="module")
def graph(snapshot):
    return load(snapshot)


def variable(graph, name: str) -> int:
    """What the module variable of ``heap.js`` of this name refers to."""
    found = [
        int(graph.targets[e])
        for e in np.flatnonzero(graph.kinds == EdgeKind.CLOSURE).tolist()
        if graph.label_text(e) == name
    ]
    found += [
        edge.target
        for i in graph.objects_of_type("Object").tolist()
        for edge in graph.edges_of(i)
        if edge.label_text == name and edge.kind is EdgeKind.ATTRIBUTE
    ]
    return found[0]


def test_retained_sizes_are_those_of_devtools(snapshot, graph):
    require("npm", "the oracle is an npm package")
    modules = packages.installed(HERE / "package.json")
    command = [packages.node(), HERE / "retained_sizes.mjs", snapshot, modules]
    said = subprocess.run(command, check=True, timeout=240, capture_output=True, text=True).stdout
    ids, retained, owned = np.array([line.split() for line in said.splitlines()], np.int64).T
    assert (graph.addresses.astype(np.int64) == ids).all()
    own = owned == 0  # DevTools counts the bytes of hidden nodes and arrays for their only owner
    assert own.sum() > 20_000
    differs = np.flatnonzero((graph.retained_sizes() != retained) & own)
    assert not len(differs), [(int(ids[i]), graph.type_name(int(i))) for i in differs[:5]]


def test_maps_sets_arrays_and_dictionaries_have_their_elements(graph):
    responses = variable(graph, "responses")
    assert graph.type_name(responses) == "Array"
    assert graph.lengths[responses] == 50
    for name in ("byKey", "table"):
        holder = variable(graph, name)
        entries = graph.targets[graph.offsets[holder] : graph.offsets[holder + 1]].tolist()
        inner = next((i for i in entries if graph.type_name(i) == "Map table"), holder)
        keyed = [edge for edge in graph.edges_of(inner) if edge.kind is EdgeKind.KEY]
        prefix = "customer" if name == "byKey" else "entry"
        assert {edge.label_text for edge in keyed} == {f"{prefix}-{i}" for i in range(50)}
        assert {graph.type_name(edge.target) for edge in keyed} == {"Object"}
    seen = variable(graph, "seen")
    inner = next(e.target for e in graph.edges_of(seen) if graph.type_name(e.target) == "Set table")
    assert sum(edge.kind is EdgeKind.MEMBER for edge in graph.edges_of(inner)) == 50


def test_functions_have_their_file_and_line(graph):
    rows = graph.code.to_pandas()
    row = rows[rows["qualname"] == "onTick"].iloc[0]
    assert row["file"] == str(HERE / "heap.js")
    line = HERE.joinpath("heap.js").read_text().splitlines()[row["first_line"] - 1]
    assert "onTick" in line


def test_values_are_masked_names_are_not(snapshot, graph, tmp_path):
    folder = fx.import_files([snapshot], tmp_path / "capture")
    capture = fx.open(folder)
    texts = set(capture.snapshots[0].strings.to_pylist())
    assert {"customer-7", "order_id", "request-7", "responses"} <= texts
    assert not {"order-7", 'a "quoted"\n\\ 😀 note'} & texts
    raw = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert b"AKIAABCDEFGHIJKLMNOP" not in raw
    assert b"order-7" not in raw
    assert capture.manifest["snapshots"][0]["secrets"]["AWS access key id"] >= 1
    assert capture.runtime == "node"
    assert len(capture.sql("SELECT count(*) AS n FROM objects")) == 1


def test_what_is_written_is_what_is_read_into_memory(snapshot, graph, tmp_path):
    written = fx.open(fx.import_files([snapshot], tmp_path / "capture")).snapshots[0]
    for name, dtype in (
        *dict.fromkeys(
            ("targets", "labels", "types", "texts", "root_objects", "capacities"), np.int32
        ).items(),
        *dict.fromkeys(("offsets", "shallow_sizes", "lengths"), np.int64).items(),
        *{"kinds": np.uint8, "addresses": np.uint64, "flags": np.uint16, "value_classes": np.uint16}.items(),
    ):
        column = getattr(written, name)
        assert column.dtype == dtype
        assert (column == getattr(graph, name)).all(), name
    assert written.strings.equals(graph.strings)
    assert written.type_names.equals(graph.type_names)
    assert written.code.equals(graph.code)
    # The hashes are keyed anew: equal where they were equal.
    assert len(np.unique(written.value_hashes)) == len(np.unique(graph.value_hashes)) > 100


def test_reading_needs_no_pandas(snapshot, tmp_path):
    """Which takes 40 MB and a third of a second."""
    script = (
        "import sys, forensics as fx\n"
        "fx.open(fx.import_files([sys.argv[1]], sys.argv[2])).snapshots[0].retained_sizes()\n"
        "print('pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", script, snapshot, tmp_path / "capture"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "False"


def test_the_same_text_has_the_same_hash(graph):
    notes = [
        int(graph.targets[e])
        for e in np.flatnonzero(graph.kinds == EdgeKind.ATTRIBUTE).tolist()
        if graph.label_text(e) == "S" and graph.type_name(int(graph.targets[e])) == "(string)"
    ]
    hashes = {int(graph.value_hashes[i]) for i in notes}
    assert 0 not in hashes
    assert len(hashes) == 151  # 150 orders and one note


def test_a_shrunk_heap_keeps_its_retained_sizes_and_its_holders(graph):
    small = folded(graph)
    assert len(small) < len(graph) / 4
    assert small.shallow_sizes.sum() == graph.shallow_sizes.sum()
    place = {int(address): i for i, address in enumerate(graph.addresses)}
    same = np.array([place[int(address)] for address in small.addresses])
    before, after = graph.retained_sizes()[same], small.retained_sizes()
    # What stands for several has their bytes together; everything else keeps its own.
    assert (after >= before).all()
    assert (after == before).mean() > 0.8
    for name in ("responses", "byKey", "table", "seen"):
        whole, holder = variable(graph, name), variable(small, name)
        assert small.retained_sizes()[holder] == graph.retained_sizes()[whole]
        assert str(small.paths_to_roots(holder, limit=1)[0].expression).endswith(f".{name}")


@pytest.fixture(scope="module")
def text(snapshot) -> str:
    return snapshot.read_text()


DAMAGE = {
    "cut in the nodes": lambda text: text[: text.index('"nodes"') + 5000],
    "cut in the strings": lambda text: text[:-5000],
    "empty object": lambda text: "{}",
    "not JSON": lambda text: '{"snapshot":' + "[" * 100_000,
    "too many nodes": lambda text: _count(text, "node_count", 2_000_000_000),
    "too many edges": lambda text: _count(text, "edge_count", 2_000_000_000),
    "far too many nodes": lambda text: _count(text, "node_count", 10**30),
    "fewer nodes": lambda text: _count(text, "node_count", 5),
    "no nodes": lambda text: _count(text, "node_count", 0),
    "negative count": lambda text: _count(text, "edge_count", -4),
    "edge to nowhere": lambda text: text.replace('"edges":[', '"edges":[1,1,2147483640,', 1),
    "text among numbers": lambda text: text.replace('"edges":[', '"edges":["x",', 1),
    "huge number": lambda text: text.replace('"nodes":[9,', '"nodes":[' + "9" * 400 + ",", 1),
    "nested nodes": lambda text: text.replace('"nodes":[9,', '"nodes":[[9],', 1),
    "fields missing": lambda text: text.replace('"self_size"', '"selfish"', 1),
    "bad escape": lambda text: text.replace('"strings":["', '"strings":["\\x', 1),
    "fields of no sense": lambda text: text.replace('"node_fields":[', '"node_fields":[[],', 1),
}


def _count(text: str, name: str, number: int) -> str:
    head = json.JSONDecoder().raw_decode(text[text.index(":") + 1 :])[0]
    return text.replace(f'"{name}":{head[name]}', f'"{name}":{number}', 1)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_and_hostile_files_are_refused_by_name(text, tmp_path, damage):
    file = tmp_path / "hostile.heapsnapshot"
    file.write_text(DAMAGE[damage](text))
    with pytest.raises(FormatError) as caught:
        load(file)
    assert "hostile.heapsnapshot" in caught.value.message
    assert caught.value.advice
    target = tmp_path / "capture"
    with pytest.raises(FormatError):
        fx.import_files([file], target)
    assert not target.exists()


@pytest.fixture(scope="module")
def warming(tmp_path_factory) -> list[HeapGraph]:
    """The same routes three times, and more of their code compiled each time."""
    folder = tmp_path_factory.mktemp("warming")
    node = require("node", "the tests of heap snapshots need Node.js")
    subprocess.run([node, "--expose-gc", HERE / "warming.js", folder], check=True, timeout=120)
    return [load(folder / f"{moment}.heapsnapshot") for moment in range(3)]


def test_code_that_is_compiled_is_no_element_of_a_container(warming):
    series = next(each for each in diff(warming).growing if each.path.endswith("router.stack[0].route.stack"))
    assert series.elements == (1, 1, 1)
    assert series.grown_bytes > 200_000  # of bytecode, which the handlers share
    assert len(series.also_held_by) == 2


def test_code_that_is_compiled_is_no_growth_of_the_program(warming):
    found = judge(Evidence("warming", runtime="node", snapshots=warming, times=[0.0, 5.0, 10.0]))
    assert not [finding for finding in found if finding.severity != "info"]


def test_what_objects_borrow_of_their_class_is_no_element_of_their_container(warming):
    endpoints = [each for each in warming[-1].holders(100, 0.001) if each.path == "warming.js · endpoints"]
    assert [(each.element_count, each.element_shape) for each in endpoints] == [(9, "Object")]
