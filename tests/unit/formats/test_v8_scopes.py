"""Captured variables that no living function uses: small heaps of V8 written by hand, and tables that do not add up."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import forensics as fx
from forensics import formats
from forensics.errors import FormatError
from forensics.formats.v8.raw import read

NODES = ["hidden", "array", "string", "object", "code", "closure", "number", "native", "synthetic"]
EDGES = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"]
NODE_FIELDS = ["type", "name", "id", "self_size", "edge_count"]
SCOPE = ["script_node_index", "scope_id", "depth", "scope_context_vars_count", "scope_uses_count"]
USE = ["declaring_scope_id", "slot_index"]
PAGE = -2  # V8's number of a script's own scope


@dataclass
class Heap:
    """A snapshot as V8 of 2026 writes it. Node 0 is the root, which holds whatever is ``kept``."""

    strings: dict[str, int] = field(default_factory=dict)
    nodes: list[list[int]] = field(default_factory=list)
    edges: list[list[list[int]]] = field(default_factory=list)
    scopes: list[list[int]] = field(default_factory=list)
    variables: list[int] = field(default_factory=list)
    uses: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root = self.node("synthetic", "")
        self.array = self.node("object", "Array")
        self.edge(self.root, "element", 1, self.array)
        self.script = self.node("code", "system / Script / page.js")
        self.edge(self.script, "internal", "name", self.node("string", "/app/page.js"))

    def string(self, text: str) -> int:
        return self.strings.setdefault(text, len(self.strings))

    def node(self, kind: str, name: str) -> int:
        self.nodes.append([NODES.index(kind), self.string(name), 2 * len(self.nodes) + 1, 16])
        self.edges.append([])
        return len(self.nodes) - 1

    def edge(self, source: int, kind: str, label: str | int, target: int) -> None:
        number = label if isinstance(label, int) else self.string(label)
        self.edges[source].append([EDGES.index(kind), number, target])

    def number(self, source: int, name: str, value: int) -> None:
        node = self.node("number", "int")
        self.edge(source, "internal", name, node)
        self.edge(node, "internal", "value", self.node("string", str(value)))

    def scope(
        self, number: int, depth: int, variables: str = "", uses: tuple[tuple[int, int], ...] = ()
    ) -> None:
        names = variables.split()
        self.scopes.append([self.script * len(NODE_FIELDS), number, depth, len(names), len(uses)])
        self.variables += [self.string(name) for name in names]
        self.uses += itertools.chain.from_iterable(uses)

    def context(self, scope: int, around: int, variables: str, kind: str = "FUNCTION_SCOPE") -> int:
        node = self.node("object", f"system / Context / scope @{scope}")
        info = self.node("code", "system / ScopeInfo")
        self.number(info, "scope_id", scope)
        self.number(info, "context_local_count", len(variables.split()))
        self.edge(info, "internal", "scope_type_name", self.node("string", kind))
        for name in variables.split():
            self.edge(node, "context", name, self.node("object", "Object"))
        self.edge(node, "internal", "scope_info", info)
        if around >= 0:
            self.edge(node, "internal", "previous", around)
        return node

    def closure(self, name: str, scope: int, context: int, script: int | None = None) -> int:
        shared = self.node("code", f"system / SharedFunctionInfo / {name}")
        self.edge(shared, "internal", "script", self.script if script is None else script)
        self.number(shared, "scope_id", scope)
        node = self.node("closure", name)
        self.edge(node, "internal", "shared", shared)
        self.edge(node, "internal", "context", context)
        self.edge(self.array, "element", len(self.edges[self.array]), node)
        return node

    def described(self) -> dict[str, Any]:
        width = len(NODE_FIELDS)
        numbered = zip(self.nodes, self.edges, strict=True)
        edges = [[kind, label, target * width] for own in self.edges for kind, label, target in own]
        meta = {
            "node_fields": NODE_FIELDS,
            "node_types": [NODES, "string", "number", "number", "number"],
            "edge_fields": ["type", "name_or_index", "to_node"],
            "edge_types": [EDGES, "string_or_number", "node"],
            "scope_fields": SCOPE,
            "scope_context_var_fields": ["name"],
            "scope_use_fields": USE,
        }
        return {
            "snapshot": {"meta": meta, "node_count": len(self.nodes), "edge_count": len(edges)},
            "nodes": [number for node, own in numbered for number in (*node, len(own))],
            "edges": [number for edge in edges for number in edge],
            "locations": [],
            "scopes": [number for scope in self.scopes for number in scope],
            "scope_context_vars": self.variables,
            "scope_uses": self.uses,
            "strings": list(self.strings),
        }


def written(heap: Heap | dict[str, Any], folder: Path) -> Path:
    file = folder / "by-hand.heapsnapshot"
    record = heap.described() if isinstance(heap, Heap) else heap
    file.write_text(json.dumps(record, separators=(",", ":")))
    return file


def told(heap: Heap | dict[str, Any], folder: Path) -> dict[str, int]:
    """Variable -> in how many contexts it is told as unused."""
    found = formats.load(written(heap, folder)).unused_variables()
    return {f"{row.function}.{row.variable}": row.contexts for row in found}


def page() -> tuple[Heap, int, int]:
    """``function handler(rows, used) { reads = () => rows; cheap = () => used }``, run once; ``reads`` is dead.

    The heap, the page's context and that of the run.
    """
    heap = Heap()
    heap.scope(PAGE, 0, "kept")
    heap.scope(10, 1, "rows used")
    heap.scope(20, 2, uses=((10, 0),))
    heap.scope(30, 2, uses=((10, 1), (PAGE, 0)))
    outer = heap.context(PAGE, -1, "kept", "SCRIPT_SCOPE")
    inner = heap.context(10, outer, "rows used")
    heap.closure("handler", 10, outer)
    heap.closure("cheap", 30, inner)
    return heap, outer, inner


def test_what_only_a_dead_function_used_is_told(tmp_path):
    heap, _, _ = page()
    assert told(heap, tmp_path) == {"handler.rows": 1}
    (row,) = formats.load(tmp_path / "by-hand.heapsnapshot").unused_variables()
    assert (row.function, row.file, row.line, row.retained_bytes) == ("handler", "/app/page.js", 0, 16)


def test_each_run_has_variables_of_its_own(tmp_path):
    """``reads`` of the second run lives: the first run's rows are used by nobody all the same."""
    heap, outer, _ = page()
    second = heap.context(10, outer, "rows used")
    heap.closure("reads", 20, second)
    assert told(heap, tmp_path) == {"handler.rows": 1, "handler.used": 1}


def test_what_a_function_written_inside_a_living_one_uses_is_used(tmp_path):
    heap = Heap()
    heap.scope(PAGE, 0)
    heap.scope(10, 1, "rows used")
    heap.scope(20, 2)  # a living function that makes …
    heap.scope(21, 3)
    heap.scope(22, 4, uses=((10, 1),))  # … a function that makes one that uses it
    heap.scope(30, 2, uses=((10, 0),))  # after it, and not in it
    heap.closure("maker", 20, heap.context(10, -1, "rows used"))
    assert told(heap, tmp_path) == {".rows": 1}


def test_blocks_between_a_function_and_the_variable_are_gone_through(tmp_path):
    heap = Heap()
    heap.scope(PAGE, 0)
    heap.scope(10, 1, "rows used")
    heap.scope(15, 2)  # without variables of its own: V8 makes no context for it
    heap.scope(16, 3, "item")
    heap.scope(20, 4, uses=((10, 1), (16, 0)))
    block = heap.context(16, heap.context(10, -1, "rows used"), "item", "BLOCK_SCOPE")
    heap.closure("arrow", 20, block)
    assert told(heap, tmp_path) == {".rows": 1}


CAUTION = {
    "a suspended function holds the context": lambda heap, outer, inner: heap.edge(
        heap.node("object", "Generator"), "internal", "context", inner
    ),
    "arguments hold the context": lambda heap, outer, inner: heap.edge(
        heap.node("array", "system / SloppyArgumentsElements"), "hidden", 1, inner
    ),
    "a suspended function's inner context leads to it": lambda heap, outer, inner: heap.edge(
        heap.node("object", "Generator"), "internal", "context", heap.context(20, inner, "")
    ),
    "a function without scopes was made there": lambda heap, outer, inner: heap.closure("other", 99, inner),
    "a function of another script was made there": lambda heap, outer, inner: heap.closure(
        "evaluated", 30, inner, heap.node("code", "system / Script / eval")
    ),
    "a function that does not lie in that scope was made there": lambda heap, outer, inner: heap.closure(
        "strange", 10, inner
    ),
    "two scopes have the number": lambda heap, outer, inner: heap.scope(10, 1, "rows used"),
    "the context has other variables": lambda heap, outer, inner: heap.edge(
        inner, "context", "more", heap.node("object", "Object")
    ),
    "the context's own number is unknown": lambda heap, outer, inner: heap.edges[
        heap.edges[inner][2][2]
    ].clear(),
    "the chain is a ring": lambda heap, outer, inner: heap.edge(outer, "internal", "previous", inner),
}


@pytest.mark.parametrize("case", CAUTION)
def test_where_more_may_use_it_than_can_be_seen_nothing_is_told(case, tmp_path):
    heap, outer, inner = page()
    CAUTION[case](heap, outer, inner)
    assert told(heap, tmp_path) == {}


def test_the_function_of_a_block_is_told_by_what_is_left_of_it(tmp_path):
    """``gone`` is dead; the block's context leads to its context, which knows its name."""
    heap = Heap()
    heap.scope(PAGE, 0)
    heap.scope(10, 1, "outside")
    heap.scope(15, 2, "rows .new.target")
    heap.scope(20, 3, uses=((10, 0),))
    outer = heap.context(10, -1, "outside")
    info = heap.edges[outer][1][2]
    heap.edge(info, "hidden", 0, heap.node("string", "outside"))
    heap.edge(info, "hidden", 1, heap.node("string", "gone"))
    heap.closure("arrow", 20, heap.context(15, outer, "rows .new.target", "BLOCK_SCOPE"))
    assert told(heap, tmp_path) == {"gone.rows": 1}


def test_what_holds_a_context_weakly_does_not_use_it(tmp_path):
    heap, _, inner = page()
    heap.edge(heap.node("code", "system / WeakArrayList"), "weak", 1, inner)
    assert told(heap, tmp_path) == {"handler.rows": 1}


@pytest.mark.parametrize("kind", ["WITH_SCOPE", "SCRIPT_SCOPE", "CLASS_SCOPE", "EVAL_SCOPE"])
def test_scopes_of_other_kinds_are_not_judged(kind, tmp_path):
    heap = Heap()
    heap.scope(PAGE, 0, "rows")
    heap.scope(10, 1)
    heap.closure("idle", 10, heap.context(PAGE, -1, "rows", kind))
    assert told(heap, tmp_path) == {}


# -- a slow oracle ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_random_programs_are_told_as_by_the_definition(seed, tmp_path):
    dice = random.Random(seed)
    heap = Heap()
    depths, declared = [0], [""]
    for _ in range(40):
        depths.append(dice.randint(1, depths[-1] + 1))
        declared.append(" ".join(f"v{k}" for k in range(dice.randint(0, 3))))
    around = [enclosing(depths, k) for k in range(len(depths))]
    uses: list[set[tuple[int, int]]] = [set() for _ in depths]
    for _ in range(60):
        k = dice.randrange(len(depths))
        scope = dice.choice([k, *around[k]])
        if declared[scope]:
            uses[k].add((scope, dice.randrange(len(declared[scope].split()))))
    for k, depth in enumerate(depths):
        heap.scope(100 + k, depth, declared[k], tuple((100 + s, slot) for s, slot in sorted(uses[k])))

    chains: dict[
        int, dict[int, int]
    ] = {}  # by context: scope -> context, those on its chain, outermost first
    closures = []
    for _ in range(25):
        k = dice.randrange(1, len(depths))
        chain: dict[int, int] = {}
        for scope in reversed(around[k]):
            if not declared[scope]:
                continue
            innermost = next(reversed(chain.values()), -1)
            known = [c for c, its in chains.items() if its == {**chain, scope: c}]
            node = dice.choice(known) if known and dice.random() < 0.7 else -1
            if node < 0:
                node = heap.context(100 + scope, innermost, declared[scope])
            chain[scope] = node
            chains[node] = dict(chain)
        if chain:
            heap.closure(f"f{k}", 100 + k, next(reversed(chain.values())))
            closures.append((k, chain))
    used = {
        (chain[scope], slot)
        for k, chain in closures
        for inner in range(len(depths))
        for scope, slot in uses[inner]
        if (inner == k or k in around[inner]) and scope in chain
    }
    every = {
        (node, slot)
        for node, chain in chains.items()
        for slot in range(len(declared[next(reversed(chain))].split()))
    }
    graph = formats.load(written(heap, tmp_path))
    said = {
        (int(graph.sources_of([e])[0]), int(graph.label_text(e).removeprefix("v")))
        for e in graph.unused.column("reference").to_pylist()
    }
    assert closures and said == every - used and said


def enclosing(depths: list[int], k: int) -> list[int]:
    """The scopes around one, innermost first."""
    found = []
    for j in range(k - 1, -1, -1):
        if depths[j] < depths[found[-1] if found else k]:
            found.append(j)
    return found


# -- tables that are missing, older, newer or wrong ------------------------------------------------------------------


def test_files_without_the_tables_and_with_other_ones_are_read(tmp_path):
    record = page()[0].described()
    for name in ("scopes", "scope_context_vars", "scope_uses"):
        assert told({key: value for key, value in record.items() if key != name}, tmp_path) == {}
    for name in ("scope_fields", "scope_context_var_fields", "scope_use_fields"):
        meta = {key: value for key, value in record["snapshot"]["meta"].items() if key != name}
        assert told({**record, "snapshot": {**record["snapshot"], "meta": meta}}, tmp_path) == {}


def test_fields_are_found_by_their_names(tmp_path):
    record = page()[0].described()
    meta = record["snapshot"]["meta"]
    meta["scope_fields"] = ["kind", *reversed(SCOPE)]
    rows = [record["scopes"][k : k + 5] for k in range(0, len(record["scopes"]), 5)]
    record["scopes"] = [number for row in rows for number in (7, *reversed(row))]
    assert told(record, tmp_path) == {"handler.rows": 1}


DAMAGE = {
    "a variable too many": lambda record: record["scope_context_vars"].append(0),
    "a use too few": lambda record: record["scope_uses"].__delitem__(slice(-2, None)),
    "half a use": lambda record: record["scope_uses"].pop(),
    "half a scope": lambda record: record["scopes"].pop(),
    "a negative count": lambda record: record["scopes"].__setitem__(3, -1),
    "a huge count": lambda record: record["scopes"].__setitem__(3, 10**17),
    "a scope that lies in none": lambda record: record["scopes"].__setitem__(7, 3),
    "a first scope that lies in one": lambda record: record["scopes"].__setitem__(2, 1),
    "a script beyond the nodes": lambda record: record["scopes"].__setitem__(0, 5 * 10**6),
    "a script between the nodes": lambda record: record["scopes"].__setitem__(0, 11),
    "a name beyond the strings": lambda record: record["scope_context_vars"].__setitem__(0, 10**6),
    "a negative name": lambda record: record["scope_context_vars"].__setitem__(0, -1),
    "text among the scopes": lambda record: record["scopes"].__setitem__(1, "x"),
    "scopes that are no array": lambda record: record.__setitem__("scopes", {}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_tables_that_do_not_add_up_are_refused(damage, tmp_path):
    record = page()[0].described()
    DAMAGE[damage](record)
    with pytest.raises(FormatError) as caught:
        formats.load(written(record, tmp_path))
    assert "by-hand.heapsnapshot" in caught.value.message and caught.value.advice


def test_tables_altered_at_random_give_a_graph_or_an_error(tmp_path):
    dice = random.Random(5)
    numbers = [0, 1, 2, 3, 5, 10, 20, -1, PAGE, 10**6, 2**31 - 1, 2**31, -(2**31)]
    refused = 0
    for _ in range(300):
        record = page()[0].described()
        for _ in range(dice.randint(1, 4)):
            column = record[dice.choice(["edges", "scopes", "scope_context_vars", "scope_uses"])]
            column[dice.randrange(len(column))] = dice.choice([*numbers, 5 * dice.randrange(40)])
        try:
            formats.load(written(record, tmp_path)).unused_variables()
        except FormatError:
            refused += 1
    assert 100 < refused < 290


@pytest.mark.parametrize("use", [(10, 7), (10, -1), (4711, 0), (-(2**31) + 1, 2**31 - 1)])
def test_uses_of_what_is_not_named_use_nothing(use, tmp_path):
    """V8 names no variables of classes and where ``eval`` is; what uses them still says so."""
    record = page()[0].described()
    record["scope_uses"][0:2] = use
    assert told(record, tmp_path) == {"handler.rows": 1}


def test_a_scope_of_many_variables_takes_no_memory_for_each_context(tmp_path):
    """A hundred thousand variables and a thousand contexts that have none of them."""
    heap = Heap()
    heap.scope(PAGE, 0)
    heap.scope(10, 1, " ".join(f"v{k}" for k in range(100_000)))
    heap.scope(20, 2)
    for _ in range(1000):
        heap.closure("f", 20, heap.context(10, -1, ""))
    assert told(heap, tmp_path) == {}


# -- kept in a capture -----------------------------------------------------------------------------------------------


def test_a_capture_keeps_them_and_refuses_wrong_ones(tmp_path):
    graph = formats.load(written(page()[0], tmp_path))
    folder = fx.import_files([tmp_path / "by-hand.heapsnapshot"], tmp_path / "capture")
    kept = fx.open(folder).snapshots[0]
    assert len(kept.unused) == 1 and kept.unused.equals(graph.unused)
    assert "captured; no living function uses it" in str(
        next(p for p in kept.paths_to_roots(int(kept.unused_variables().rows[0].example)))
    )
    table = folder / "snapshots" / "000" / "unused.arrow"
    raw = bytearray(table.read_bytes())
    at = raw.index(graph.unused.column("reference")[0].as_py().to_bytes(8, "little"))
    raw[at] ^= 1  # a reference that is no captured variable
    table.write_bytes(raw)
    with pytest.raises(FormatError, match="no captured variable"):
        formats.snapshot.load(table.parent)


def test_a_capture_without_the_table_is_whole(tmp_path):
    record = page()[0].described()
    del record["scopes"]
    folder = fx.import_files([written(record, tmp_path)], tmp_path / "capture")
    assert not (folder / "snapshots" / "000" / "unused.arrow").exists()
    assert not len(fx.open(folder).snapshots[0].unused_variables())


def test_the_tables_are_read_in_the_order_of_the_file(tmp_path):
    """So that none is looked for twice: what is behind a section is known when it was read."""
    heap, _, _ = page()
    scopes = read(written(heap, tmp_path)).scopes
    assert scopes is not None
    assert scopes.ids.tolist() == [PAGE, 10, 20, 30]
    assert scopes.parents.tolist() == [-1, 0, 1, 1]
    assert scopes.ends.tolist() == [4, 4, 3, 4]
    assert scopes.variables.tolist() == [0, 1, 3, 3, 3]
    assert scopes.declaring.tolist() == [1, 1, 0] and scopes.slots.tolist() == [0, 1, 0]
