"""One ``.heapsnapshot`` as columns, every field found by the file's own description; nothing is judged here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.formats.v8.records import (
    EDGE_FIELDS,
    FINE,
    MOST_FIELDS,
    NODE_FIELDS,
    NOWHERE,
    OUT_OF_RANGE,
    keep_edges,
    keep_nodes,
    whole,
)
from forensics.formats.v8.scopes import Scopes, read_scopes
from forensics.formats.v8.sections import Sections
from forensics.formats.v8.storage import Storage
from forensics.heap.compiled import compiled, frozen

#: Indices are 32 bits wide.
_MOST = (1 << 31) - 2
#: Nodes after which the memory is given back in which files are shown.
_STRETCH = 1 << 20
_LOCATION_FIELDS = ("object_index", "script_id", "line", "column")
_WRONG = {OUT_OF_RANGE: "has a number that is out of range", NOWHERE: "leads to no node"}


@dataclass(frozen=True, eq=False)
class RawHeap:
    """The columns of a snapshot; n nodes, m edges, grouped by source in the order of the nodes.

    Attributes
    ----------
    node_types, edge_types : names of the types, by number
    types : uint8[n]; names : int32[n], index into ``strings``; ids : uint64[n]; sizes : int64[n], bytes
    offsets : int64[n + 1], first edge of each node
    edge_kinds : uint8[m]; labels : int32[m], name or index; targets : int32[m], node number
    locations : int64[k, 4]: node number, script id, line, column (both from 0)
    strings : Arrow array
    objects : the columns of our own table of objects; ``ids`` and ``sizes`` are among them, the rest is to be filled
    storage : where the columns are that become ours
    scopes : which variables functions share and use, None where the file does not tell
    """

    node_types: tuple[str, ...]
    edge_types: tuple[str, ...]
    types: np.ndarray
    names: np.ndarray
    ids: np.ndarray
    sizes: np.ndarray
    offsets: np.ndarray
    edge_kinds: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    locations: np.ndarray
    strings: pa.Array
    objects: dict[str, np.ndarray] = field(repr=False)
    storage: Storage = field(repr=False)
    scopes: Scopes | None = None

    def node_type(self, name: str) -> int:
        """The number of a node type, 255 where this file knows none of that name."""
        return self.node_types.index(name) if name in self.node_types else 255

    def edge_type(self, name: str) -> int:
        """The number of an edge type, 255 where this file knows none of that name."""
        return self.edge_types.index(name) if name in self.edge_types else 255

    def follow(self, nodes: np.ndarray, name: str, kind: str = "internal") -> np.ndarray:
        """int64[len(nodes)]: what each node's edge of that name and type leads to, -1 where there is none.

        A node of -1 has none. To be asked before the edges become references.
        """
        found = np.full(len(nodes), -1, np.int64)
        label = arrow.index(self.strings, name)
        if label >= 0 and len(nodes):
            edges = map(frozen, (self.offsets, self.edge_kinds, self.labels, self.targets))
            _follow(*edges, frozen(nodes.astype(np.int64)), self.edge_type(kind), label, found)
        return found


def read(path: Path, folder: Path | None = None) -> RawHeap:
    """Read a snapshot; memory grows with its nodes and edges and not with what the file claims.

    Parameters
    ----------
    folder : where the snapshot will be written as ours; its large tables are begun there instead of in memory

    Raises
    ------
    FormatError : cut short, not a snapshot, indices out of range, more than 2³¹ nodes or edges.
    """
    with Sections(path) as sections:
        meta = sections.head.get("meta")
        if not isinstance(meta, dict):
            raise sections.error("it has no description of its fields", 0)
        nodes = _count(sections, "node_count")
        edges = _count(sections, "edge_count")
        node_fields, edge_fields = _fields(sections, meta, "node"), _fields(sections, meta, "edge")
        storage = Storage(folder)
        types, names, objects, offsets = _nodes(sections, storage, node_fields, nodes)
        if offsets[-1] != edges:
            raise sections.error(f"the nodes have {int(offsets[-1]):,} edges, {edges:,} were announced", 0)
        references = _edges(sections, storage, edge_fields, edges, len(node_fields), nodes)
        kinds, labels = references["kind"], references["label"]
        locations = _locations(sections, meta, len(node_fields), nodes)
        scopes = read_scopes(sections, meta, len(node_fields), nodes)
        strings = sections.strings()
        sections.check_end()
        node_types, edge_types = _types(sections, meta, "node"), _types(sections, meta, "edge")
        if nodes and int(types.max()) >= len(node_types):
            raise sections.error("a node has a type that the file does not describe", 0)
        if edges and int(kinds.max()) >= len(edge_types):
            raise sections.error("an edge has a type that the file does not describe", 0)
        if nodes and not 0 <= int(names.min()) <= int(names.max()) < len(strings):
            raise sections.error("a node has a name that is not among the strings", 0)
        named = np.array([name not in ("element", "hidden") for name in edge_types], np.bool_)
        if not labels_exist(frozen(kinds), frozen(labels), named, len(strings)):
            raise sections.error("an edge has a name that is not among the strings", 0)
        if scopes is not None and not scopes.named(len(strings)):
            raise sections.error("a variable has a name that is not among the strings", 0)
        return RawHeap(
            node_types=node_types,
            edge_types=edge_types,
            types=types,
            names=names,
            ids=objects["address"],
            sizes=objects["shallow_size"],
            offsets=offsets,
            edge_kinds=kinds,
            labels=labels,
            targets=references["target"],
            locations=locations,
            strings=strings,
            objects=objects,
            storage=storage,
            scopes=scopes,
        )


def _count(sections: Sections, name: str) -> int:
    count = sections.head.get(name)
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST:
        raise sections.error(f"its {name} is {count!r}", 0)
    if name == "node_count" and count == 0:
        raise sections.error("it has no node, not even a root", 0)
    return count


def _fields(sections: Sections, meta: dict[str, Any], what: str) -> list[str]:
    fields = meta.get(f"{what}_fields")
    needed = NODE_FIELDS if what == "node" else EDGE_FIELDS
    if (
        not isinstance(fields, list)
        or not all(name in fields for name in needed)
        or len(fields) > MOST_FIELDS
    ):
        raise sections.error(f"its {what}_fields are {str(fields)[:200]}", 0)
    return [str(name) for name in fields]


def _types(sections: Sections, meta: dict[str, Any], what: str) -> tuple[str, ...]:
    types = meta.get(f"{what}_types")
    position = meta[f"{what}_fields"].index("type")
    names = types[position] if isinstance(types, list) and len(types) > position else None
    if not isinstance(names, list) or not 0 < len(names) < 255:
        raise sections.error(f"its {what}_types are {str(types)[:200]}", 0)
    return tuple(str(name) for name in names)


def _nodes(
    sections: Sections, storage: Storage, fields: list[str], count: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Types, names, the table of objects with ids and sizes in it, and where each node's edges begin."""
    sections.need("nodes", count * len(fields))
    limits = np.array([254, _MOST, 1 << 60, 1 << 50, _MOST], np.int64)
    types, names = np.empty(count, np.uint8), np.empty(count, np.int32)
    objects, offsets = storage.table("objects", count), storage.table("offsets", count + 1)["offset"]
    edges = offsets[1:]  # first how many each node has
    columns = types, names, objects["address"], objects["shallow_size"], edges
    places = _places(fields, NODE_FIELDS)
    for first, rows in sections.records("nodes", len(fields), count):
        _check(sections, "node", rows, first, keep_nodes(rows, places, limits, first, *columns))
        if first // _STRETCH != (first + len(rows)) // _STRETCH:
            storage.release()
    np.cumsum(edges, out=edges)
    return types, names, objects, offsets


def _edges(
    sections: Sections, storage: Storage, fields: list[str], count: int, node_width: int, nodes: int
) -> dict[str, np.ndarray]:
    """The table of references; its kinds are still the file's types, its labels the file's strings."""
    sections.need("edges", count * len(fields))
    references = storage.table("references", count)
    columns = references["kind"], references["label"], references["target"]
    places = _places(fields, EDGE_FIELDS)
    for first, rows in sections.records("edges", len(fields), count):
        _check(
            sections, "edge", rows, first, keep_edges(rows, places, node_width, nodes, _MOST, first, *columns)
        )
    return references


def _check(sections: Sections, what: str, rows: np.ndarray, first: int, told: tuple[int, int]) -> None:
    """That all of these rows were kept; ``first`` is the number of the first one."""
    row, wrong = told
    if wrong != FINE:
        at = sections.offset_after(f"{what}s", (first + row + 1) * rows.shape[1])
        raise sections.error(f"{what} {first + row:,} {_WRONG[wrong]}", at)


def _places(fields: list[str], names: tuple[str, ...]) -> np.ndarray:
    """Where the fields of these names stand in a row."""
    return np.array([fields.index(name) for name in names], np.int64)


def _locations(sections: Sections, meta: dict[str, Any], node_width: int, nodes: int) -> np.ndarray:
    found = whole(sections, "locations", meta.get("location_fields"), _LOCATION_FIELDS)
    if found is None:
        return np.empty((0, 4), np.int64)
    found[:, 0] //= node_width
    if len(found) and not 0 <= int(found[:, 0].min()) <= int(found[:, 0].max()) < nodes:
        raise sections.error("a source location belongs to no node", 0)
    return found


def looks_like(head: bytes) -> bool:
    """Whether these first bytes are those of a heap snapshot."""
    return head.lstrip().startswith(b'{"snapshot":') and b'"node_fields"' in head


@compiled
def labels_exist(kinds, labels, named, strings):
    """Whether every label that is a name stands among so many strings."""
    missing = 0
    for e in range(kinds.size):
        if named[kinds[e]] and labels[e] >= strings:
            missing += 1
    return missing == 0


@compiled
def _follow(offsets, kinds, labels, targets, nodes, kind, label, found):
    for k in range(nodes.size):
        if nodes[k] < 0:
            continue
        for e in range(offsets[nodes[k]], offsets[nodes[k] + 1]):
            if kinds[e] == kind and labels[e] == label:
                found[k] = targets[e]
