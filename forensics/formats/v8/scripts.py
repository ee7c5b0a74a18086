"""Where the functions of a V8 snapshot were written: closure → shared function info → script → its name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.formats.v8.raw import RawHeap
from forensics.formats.v8.scopes import Scopes
from forensics.heap.columns import code

#: Scopes looked at from one outwards for a function that the heap knows: no program nests deeper blocks.
_MOST_AROUND = 100


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


def places_of_scopes(
    raw: RawHeap, scopes: Scopes, wanted: list[int], closure_of: dict[int, int], info_of: dict[int, int]
) -> list[tuple[str, str, int]]:
    """Function, file and line of each wanted scope: of the nearest function around it that the heap knows.

    Parameters
    ----------
    closure_of, info_of : by scope a closure of its function, and the ScopeInfo of its contexts
    """
    nodes = np.array(sorted({closure_of[scope] for scope in closure_of if scope >= 0}), np.int64)
    rows = raw.locations[np.isin(raw.locations[:, 0], nodes)]
    lines = dict(zip(rows[:, 0].tolist(), (rows[:, 2] + 1).tolist(), strict=True))
    files: dict[int, str] = {}
    found = []
    for scope in wanted:
        script = int(scopes.scripts[scope])
        if script not in files:
            files[script] = _child_text(raw, script, "name")
        name, line, around = "", 0, scope
        for _ in range(_MOST_AROUND):
            if around in closure_of:
                closure = closure_of[around]
                name, line = str(raw.strings[int(raw.names[closure])].as_py()), lines.get(closure, 0)
                break
            name = _own_name(raw, info_of[around]) if around in info_of else ""
            around = int(scopes.parents[around])
            if name or around < 0:
                break
        found.append((name, files[script], line))
    return found


def _own_name(raw: RawHeap, info: int) -> str:
    """A function's name as its ScopeInfo has it: after the names of its variables; empty for what is no function."""
    kind, count = _child(raw, info, ("scope_type_name",)), _child(raw, info, ("context_local_count",))
    if kind < 0 or str(raw.strings[int(raw.names[kind])].as_py()) != "FUNCTION_SCOPE":
        return ""
    place = _child_text(raw, count, "value")
    for e in range(int(raw.offsets[info]), int(raw.offsets[info + 1])):
        target = int(raw.targets[e])
        hidden = raw.edge_kinds[e] == raw.edge_type("hidden") and str(raw.labels[e]) == place
        if hidden and raw.types[target] == raw.node_type("string"):
            return str(raw.strings[int(raw.names[target])].as_py())
    return ""


def _child_text(raw: RawHeap, node: int, name: str) -> str:
    """The text of the string that an internal edge of this name leads to; empty where there is none."""
    child = _child(raw, node, (name,))
    return _text(raw, child) if child >= 0 else ""


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
