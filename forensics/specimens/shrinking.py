"""A heap of V8 made small enough to travel: what is neither DynamoDB's nor the program's is folded into what holds it.

Two thirds of a small service's heap are compiled code, shapes of objects and the libraries' own functions. Folding a
subtree of the dominator tree into its top, and siblings of one type into one, changes no retained size of what stays:
every way into such a group leads through its dominator, and references that leave it stay as the group's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.agent.stream import EdgeKind
from forensics.dynamodb.recognise import recognise
from forensics.formats import snapshot
from forensics.heap import HeapGraph
from forensics.heap.javascript import is_library

#: Classes of which every object stays: containers, requests, connections and clients.
_KEPT = (
    *("Map", "Set", "Promise", "Timeout", "Server", "ServerResponse", "IncomingMessage", "Socket", "Agent"),
    *("EventEmitter", "DynamoDBClient", "DynamoDBDocumentClient"),
)
_PLUMBING = (
    *("(compiled code)", "(object shape)", "(symbol)", "private symbol", "(number)", "(regexp)", "system / "),
    *("(string)", "(concatenated string)", "(sliced string)", "BuiltinModule", "Error"),
)
_NAMED = (EdgeKind.ATTRIBUTE, EdgeKind.CLOSURE, EdgeKind.SLOT)


def shrink(folder: Path, to: Path) -> tuple[int, int]:
    """Write the snapshot in ``folder`` into ``to``, smaller; returns how many objects and references are left."""
    graph = snapshot.load(folder)
    small = folded(graph)
    snapshot.save(small, to, {**small.meta, "objects": len(small), "references": small.n_references})
    return len(small), small.n_references


def folded(graph: HeapGraph) -> HeapGraph:
    """A new graph, in memory, with the same retained sizes for everything that is left."""
    dominators = graph.immediate_dominators()
    wanted = _wanted(graph, dominators)
    return _merged(graph, _groups(graph, dominators, wanted), wanted)


def _wanted(graph: HeapGraph, dominators: np.ndarray) -> np.ndarray:
    """bool[n]: DynamoDB's objects with what they refer to, the program's closures and variables; all that hold them."""
    n = len(graph)
    sources = np.repeat(np.arange(n, dtype=np.int32), np.diff(graph.offsets))
    held = graph.kinds != EdgeKind.WEAK
    wanted = np.zeros(n, np.bool_)
    wanted[recognise(graph).objects] = True
    wanted[graph.root_objects] = True
    wanted |= np.isin(
        graph.types, [k for k, name in enumerate(graph.type_names.to_pylist()) if name in _KEPT]
    )
    parts = np.isin(graph.kinds, (EdgeKind.ATTRIBUTE, EdgeKind.ITEM, EdgeKind.KEY)) & wanted[sources]
    wanted[graph.targets[parts]] = True
    wanted[_own_closures(graph)] = True
    contexts = graph.types == graph.type_id("system / Context")
    wanted[graph.targets[wanted[sources] & contexts[graph.targets] & held]] = True
    wanted[graph.targets[(graph.kinds == EdgeKind.CLOSURE) & wanted[sources]]] = True
    # An ancestor that is folded would take what is wanted with it.
    while True:
        above = dominators[wanted]
        above = above[above >= 0]
        if wanted[above].all():
            return wanted
        wanted[above] = True


def _own_closures(graph: HeapGraph) -> np.ndarray:
    files = graph.code.column("file").to_pylist()
    objects = graph.code.column("object").to_numpy()
    own = np.array([bool(file) and file != "?" and not is_library(file) for file in files], np.bool_)
    return objects[own] if len(objects) else objects


def _groups(graph: HeapGraph, dominators: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int32[n]: the object that stands for each: itself, the top of its subtree, or the first such sibling."""
    top = np.arange(len(graph), dtype=np.int32)
    top[~wanted] = np.where(dominators[~wanted] >= 0, dominators[~wanted], top[~wanted])
    stays = wanted | (dominators < 0)
    stays |= wanted[np.maximum(dominators, 0)]
    top[stays] = np.flatnonzero(stays)
    while (top[top] != top).any():
        top = top[top]
    leaves = np.flatnonzero((top == np.arange(len(top))) & _plumbing(graph) & ~wanted & (dominators >= 0))
    pairs = dominators[leaves].astype(np.int64) * (len(graph.type_names) + 1) + graph.types[leaves]
    _, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
    top[leaves] = leaves[first[inverse]]
    return top[top]


def _plumbing(graph: HeapGraph) -> np.ndarray:
    """bool[n]: texts and V8's own parts, through which no path leads that a person would write."""
    names = graph.type_names.to_pylist()
    return np.isin(graph.types, [k for k, name in enumerate(names) if name.startswith(_PLUMBING)])


def _merged(graph: HeapGraph, group: np.ndarray, wanted: np.ndarray) -> HeapGraph:
    n = len(graph)
    alone = group == np.arange(n)
    kept = np.flatnonzero(alone)
    alone &= wanted | ~_plumbing(graph)
    place = np.full(n, -1, np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    origins = np.repeat(np.arange(n, dtype=np.int32), np.diff(graph.offsets))
    sources, targets = place[group[origins]], place[group[graph.targets]]
    kinds, labels = graph.kinds.copy(), graph.labels.copy()
    keyed = (kinds == EdgeKind.KEY) & (labels >= 0)
    labels[keyed] = place[group[labels[keyed]]]
    # Into and out of a group lead ways that have no name, one for each pair.
    moved = ~alone[origins] | ~alone[graph.targets]
    kinds[moved & (kinds != EdgeKind.WEAK)] = EdgeKind.INTERNAL
    labels[moved] = -1
    useful = (sources != targets) & (kinds != EdgeKind.WEAK)
    once = np.flatnonzero(useful & moved)
    _, first = np.unique(sources[once].astype(np.int64) * n + targets[once], return_index=True)
    useful[once] = False
    useful[once[first]] = True
    edges = np.flatnonzero(useful)
    edges = edges[np.argsort(sources[edges], kind="stable")]
    offsets = np.zeros(len(kept) + 1, np.int64)
    np.cumsum(np.bincount(sources[edges], minlength=len(kept)), out=offsets[1:])
    strings, labels, texts = _strings(graph, kinds[edges], labels[edges], graph.texts[kept])
    used_types, types = np.unique(graph.types[kept], return_inverse=True)
    return HeapGraph(
        offsets=offsets,
        targets=targets[edges],
        kinds=kinds[edges],
        labels=labels,
        shallow_sizes=np.bincount(place[group], graph.shallow_sizes, len(kept)).astype(np.int64),
        texts=texts,
        types=types.astype(np.int32),
        type_names=graph.type_names.take(pa.array(used_types)),
        strings=strings,
        root_objects=place[graph.root_objects],
        code=_code(graph, place),
        meta={**graph.meta, "shrunk_from": n},
        **{name: getattr(graph, name)[kept] for name in _COLUMNS},
        **{name: getattr(graph, name) for name in ("root_kinds", "root_names", "frames")},
    )


_COLUMNS = ("addresses", "flags", "lengths", "capacities", "value_hashes", "value_classes")


def _strings(
    graph: HeapGraph, kinds: np.ndarray, labels: np.ndarray, texts: np.ndarray
) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """The strings that something still refers to; labels and texts as places among them."""
    named = np.isin(kinds, _NAMED) & (labels >= 0)
    used = np.unique(np.concatenate((labels[named], texts[texts >= 0])))
    labels, texts = labels.copy(), texts.copy()
    labels[named] = np.searchsorted(used, labels[named])
    texts[texts >= 0] = np.searchsorted(used, texts[texts >= 0])
    return graph.strings.take(pa.array(used)), labels, texts


def _code(graph: HeapGraph, place: np.ndarray) -> pa.Table:
    objects = place[graph.code.column("object").to_numpy()]
    table = graph.code.set_column(0, "object", pa.array(objects, pa.int32()))
    return table.filter(pc.greater_equal(table.column("object"), 0)).combine_chunks()
