"""What lies below objects of a heap, without what they only borrow from the program."""

from __future__ import annotations

import numpy as np

from forensics.agent.stream import EdgeKind, ObjectFlag, RootKind
from forensics.dynamodb import kernels
from forensics.heap.graph import HeapGraph
from forensics.heap.javascript import is_node, machinery

_BARRIERS = frozenset("module code builtin_function_or_method method_descriptor wrapper_descriptor".split())
#: What V8's objects only borrow from the program beside code and shapes: functions and the variables of these.
_BORROWED_V8 = frozenset(
    [
        *("(closure)", "system / Context", "system / NativeContext"),
        *("(synthetic)", "(hidden)", "global", "(symbol)"),
    ]
)


def barriers(graph: HeapGraph) -> np.ndarray:
    """bool[n]: what a holder only borrows: modules, classes, code, running frames, namespaces of modules."""

    def compute() -> np.ndarray:
        names = graph.type_names.to_pylist()
        if is_node(graph):
            return _barriers_of_v8(graph, names)
        borrowed = np.array(
            [name in _BARRIERS or name == "type" or name.endswith("Meta") for name in names] or [False]
        )
        found = borrowed[graph.types] | ((graph.flags & ObjectFlag.SYNTHETIC) > 0)
        slots = np.flatnonzero((graph.kinds == EdgeKind.SLOT) & found[_owners(graph)])
        found[graph.targets[slots]] |= np.isin(graph.types[graph.targets[slots]], _type_ids(graph, "dict"))
        globals_ = [
            k for k, text in enumerate(graph.strings.to_pylist()) if text in ("__globals__", "f_globals")
        ]
        found[graph.targets[(graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, globals_)]] = True
        found[graph.root_objects[np.isin(graph.root_kinds, [RootKind.MODULES, RootKind.BUILTINS])]] = True
        return found

    return graph._once("forensics.rules.barriers", compute)


def _barriers_of_v8(graph: HeapGraph, names: list[str]) -> np.ndarray:
    return machinery(graph) | np.array([name in _BORROWED_V8 for name in names] or [False])[graph.types]


def content(graph: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """bool[n]: what lies below ``objects`` without what they only borrow."""
    return kernels.content(
        graph.offsets, graph.targets, graph.kinds, objects.astype(np.int64), barriers(graph), True
    )


def bytes_below(graph: HeapGraph, ids: np.ndarray) -> int:
    """Shallow sizes of all that lies below ``ids``, in bytes."""
    return int(graph.shallow_sizes[content(graph, ids)].sum()) if len(ids) else 0


def _owners(graph: HeapGraph) -> np.ndarray:
    return np.repeat(np.arange(len(graph)), np.diff(graph.offsets))


def _type_ids(graph: HeapGraph, *names: str) -> list[int]:
    return [k for k, name in enumerate(graph.type_names.to_pylist()) if name in names]
