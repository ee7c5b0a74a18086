"""Where the functions of a V8 snapshot were written: closure → shared function info → script → its name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.formats.v8.raw import RawHeap
from forensics.heap.columns import code


def code_table(raw: RawHeap) -> pa.Table:
    """The rows of ``HeapGraph.code`` for every node with a source location: closures, classes' instances."""
    where = raw.locations
    if not len(where):
        return code()
    where = where[np.unique(where[:, 0], return_index=True)[1]]
    nodes = where[:, 0].astype(np.int32)
    closures = raw.types[nodes] == raw.node_type("closure")
    files = _files(raw, nodes[closures], where[closures, 1])
    numbers = where[:, 1]
    places = np.searchsorted(files[0], numbers)
    places = np.minimum(places, max(len(files[0]) - 1, 0))
    known = np.zeros(len(nodes), bool) if not len(files[0]) else files[0][places] == numbers
    places[~known] = len(files[1])
    columns = [
        arrow.column(nodes, pa.int32()),
        arrow.taken(raw.strings, raw.names[nodes]).cast(pa.string()),
        arrow.taken(arrow.column([*files[1], "?"], pa.string()), places),
        arrow.column((where[:, 2] + 1).astype(np.int32), pa.int32()),
    ]
    return pa.Table.from_arrays(columns, schema=code().schema)


def _files(raw: RawHeap, closures: np.ndarray, scripts: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """int64 script ids, ascending, and the name of each script's file."""
    ids, first = np.unique(scripts, return_index=True)
    found_ids, found_names = [], []
    for script, row in zip(ids.tolist(), first.tolist(), strict=True):
        shared = _child(raw, int(closures[row]), ("shared",))
        node = _child(raw, shared, ("script_or_debug_info", "script"))
        if node >= 0 and str(raw.strings[int(raw.names[node])].as_py()).startswith("system / DebugInfo"):
            node = _child(raw, node, ("script",))
        name = _child(raw, node, ("name",))
        if name >= 0:
            found_ids.append(script)
            found_names.append(_text(raw, name))
    return np.array(found_ids, np.int64), found_names


def _text(raw: RawHeap, node: int, depth: int = 40) -> str:
    """The text of a string node; one that Node 18 put together is read from its parts."""
    if raw.types[node] != raw.node_type("concatenated string"):
        return str(raw.strings[int(raw.names[node])].as_py())
    parts = [_child(raw, node, (part,)) for part in ("first", "second")]
    return "".join(_text(raw, part, depth - 1) for part in parts if part >= 0 and depth)


def _child(raw: RawHeap, node: int, names: tuple[str, ...]) -> int:
    """What the internal edge of one of these names leads to, -1 where there is none."""
    if node < 0:
        return -1
    for e in range(int(raw.offsets[node]), int(raw.offsets[node + 1])):
        internal = raw.edge_kinds[e] == raw.edge_type("internal")
        if internal and raw.strings[int(raw.labels[e])].as_py() in names:
            return int(raw.targets[e])
    return -1
