"""Modules: which of the captured process' modules are the program's own, and which belong to libraries."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from forensics import arrow
from forensics.agent.stream import EdgeKind, RootKind

from .edge import key_text

if TYPE_CHECKING:
    from .graph import HeapGraph

#: "agent": what a capture itself brought into the process.
Origin = Literal["application", "library", "stdlib", "agent"]
_INSTALLED = ("/site-packages/", "/dist-packages/", "\\site-packages\\", "<frozen")
_OURS = "forensics"
#: The agent as a capture brings it in, and as a service imports it itself.
INJECTED_AGENT = "_forensics_agent"
_AGENT = (INJECTED_AGENT, "forensics.agent")


@dataclass(frozen=True, eq=False)
class Modules:
    """The modules of one snapshot.

    Attributes
    ----------
    names, origins : by module object
    namespaces : the module object by its namespace dict
    table : the object of ``sys.modules``, -1 where there is none
    """

    names: dict[int, str]
    origins: dict[int, Origin]
    namespaces: dict[int, int]
    table: int
    _by_name: dict[str, Origin]

    @classmethod
    def of(cls, graph: HeapGraph) -> Modules:
        """Look through the roots; a graph of another runtime has none."""
        tables = graph.root_objects[graph.root_kinds == RootKind.MODULES]
        if not len(tables):
            return cls({}, {}, {}, -1, {})
        table = int(tables[0])
        names: dict[int, str] = {}
        for edge in graph.edges_of(table):
            if edge.kind is EdgeKind.KEY and edge.label >= 0:
                # A module may stand there under two names (os.path is posixpath): its own name comes first.
                names.setdefault(edge.target, key_text(graph, edge.label))
        namespaces = _namespaces(graph, names)
        files = _files(graph, namespaces)
        by_name = _origins(names, files)
        origins = {module: by_name[name] for module, name in names.items()}
        return cls(names, origins, namespaces, table, by_name)

    def origin_of_type(self, type_name: str) -> Origin:
        """Where a type is defined, judged by the module in its name; builtins are stdlib."""
        module = type_name.rpartition(".")[0]
        while module:
            if module in self._by_name:
                return self._by_name[module]
            module = module.rpartition(".")[0]
        return "stdlib"


def _namespaces(graph: HeapGraph, names: dict[int, str]) -> dict[int, int]:
    found = {}
    for module in names:
        for edge in graph.edges_of(module):
            if edge.kind is EdgeKind.SLOT and edge.label_text == "__dict__":
                found[edge.target] = module
                break
    return found


def _files(graph: HeapGraph, namespaces: dict[int, int]) -> dict[int, str]:
    """The file that most functions with this module's globals come from, by module object.

    What was generated (``<string>``: the methods of dataclasses and named tuples) came from no file.
    """
    labels = graph.slot_labels()
    if not {"__globals__", "__code__"} <= labels.keys() or not graph.code.num_rows:
        return {}
    slots = np.flatnonzero(graph.kinds == EdgeKind.SLOT)
    to_globals = slots[np.isin(graph.labels[slots], labels["__globals__"])]
    to_code = slots[np.isin(graph.labels[slots], labels["__code__"])]
    code_of = np.full(len(graph), -1, np.int32)
    code_of[graph.sources_of(to_code)] = graph.targets[to_code]
    row_of = np.full(len(graph), -1, np.int32)
    row_of[arrow.numbers(graph.code.column("object"))] = np.arange(graph.code.num_rows, dtype=np.int32)
    codes = code_of[graph.sources_of(to_globals)]
    rows = np.where(codes >= 0, row_of[codes], -1)
    files = graph.code.column("file").to_pylist()
    votes: dict[int, Counter[str]] = {}
    for space, row in zip(graph.targets[to_globals].tolist(), rows.tolist(), strict=True):
        if row >= 0 and space in namespaces and files[row] and not _generated(files[row]):
            votes.setdefault(namespaces[space], Counter())[files[row]] += 1
    return {module: count.most_common(1)[0][0] for module, count in votes.items()}


def _generated(file: str) -> bool:
    return file.startswith("<") and not file.startswith("<frozen")


def _origins(names: dict[int, str], files: dict[int, str]) -> dict[str, Origin]:
    origins: dict[str, Origin] = {}
    undecided = []
    installed = set()
    for module, name in names.items():
        file = files.get(module, "")
        top = name.partition(".")[0]
        if any(name == ours or name.startswith(f"{ours}.") for ours in _AGENT):
            origins[name] = "agent"
        elif top in sys.stdlib_module_names and name != "__main__":
            origins[name] = "stdlib"
        elif top == _OURS or any(part in file for part in _INSTALLED):
            origins[name] = "library"
            installed.add(top)
        elif file or name == "__main__":
            origins[name] = "application"
        else:
            undecided.append(name)
    for name in undecided:
        origins[name] = "library" if name.partition(".")[0] in installed else "application"
    return origins
