"""Garbage: objects that no root reaches, the cycles they are in, and what those hold.

Reference counting frees everything but cycles, so garbage that is still there is a set of strongly connected
components and what hangs on them. A component that no other garbage refers to is the *head* of what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .compiled import compiled, frozen
from .dominators import dominators, sum_up_tree
from .expression import write
from .nearest import KIND_COSTS, Nearest, _sweep, cost_tables
from .path import Path

if TYPE_CHECKING:
    from .graph import HeapGraph


@dataclass(frozen=True, eq=False)
class Garbage:
    """The garbage of one snapshot.

    Attributes
    ----------
    objects : int32[u], ascending
    heads : int32[h], one object for each cycle that no other garbage refers to; one of the program's own classes
        where the cycle has any
    held_bytes : int64[h], bytes that only this cycle holds
    """

    objects: np.ndarray
    heads: np.ndarray
    held_bytes: np.ndarray
    _offsets: np.ndarray
    _targets: np.ndarray
    _references: np.ndarray

    @classmethod
    def of(cls, graph: HeapGraph) -> Garbage:
        """Find it; costs as much as there is garbage."""
        objects = np.flatnonzero(~graph.reachable()).astype(np.int32)
        offsets, targets, references = map(
            frozen,
            _subgraph(graph.offsets, graph.targets, graph.strong_kinds(), frozen(objects), len(graph)),
        )
        if not len(objects):
            nothing = np.empty(0, np.int32)
            return cls(objects, nothing, nothing.astype(np.int64), offsets, targets, references)
        heads = frozen(_heads(graph, objects, offsets, targets))
        immediate, order = map(frozen, dominators(offsets, targets, frozen(np.empty(0, np.uint8)), heads))
        held = sum_up_tree(order, immediate, frozen(graph.shallow_sizes[objects]))
        return cls(objects, objects[heads], held[heads], offsets, targets, references)

    def nearest(self, graph: HeapGraph) -> Nearest:
        """Ways from the heads, in the numbers of the garbage alone."""
        slots, _, _ = cost_tables(graph)
        heads = frozen(np.searchsorted(self.objects, self.heads).astype(np.int32))
        return Nearest(
            *_sweep(
                self._offsets,
                self._targets,
                frozen(graph.kinds[self._references]),
                frozen(graph.labels[self._references]),
                heads,
                frozen(np.zeros(len(heads), np.int32)),
                frozen(KIND_COSTS),
                slots,
                frozen(np.empty(0, np.uint8)),
                -1,
            )
        )


def garbage_path(graph: HeapGraph, i: int, *, holder: bool = False) -> Path:
    """The way to a piece of garbage from the cycle that holds it."""
    garbage = graph.garbage()
    nearest: Nearest = graph._once("garbage_nearest", lambda: garbage.nearest(graph))
    objects, references = nearest.way(int(np.searchsorted(garbage.objects, i)))
    return write(
        graph,
        frozen(garbage.objects[objects]),
        frozen(garbage._references[references]),
        -1,
        holder=holder,
    )


def _heads(graph: HeapGraph, objects: np.ndarray, offsets: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """int32[h], as places in ``objects``."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    size = len(objects)
    matrix = csr_array((np.ones(len(targets), np.int8), targets, offsets), shape=(size, size))
    count, component = connected_components(matrix, directed=True, connection="strong")
    sources = np.repeat(component, np.diff(offsets))
    entered = np.zeros(count, bool)
    entered[component[targets][sources != component[targets]]] = True
    modules = graph.modules()
    used = np.unique(graph.types[objects])
    ours = [t for t in used.tolist() if modules.origin_of_type(graph.type_names[t].as_py()) == "application"]
    # The first object of a component stands for it, one of the program's own classes before any other.
    rank = np.where(np.isin(graph.types[objects], ours), 0, 1)
    order = np.lexsort((np.arange(size), rank, component))
    first = np.ones(size, bool)
    first[1:] = component[order][1:] != component[order][:-1]
    chosen = order[first]
    return np.sort(chosen[~entered[component[chosen]]]).astype(np.int32)


@compiled
def _subgraph(offsets, targets, kinds, objects, n):
    """int64[u + 1], int32[v], int64[v]: the strong references among these objects, renumbered, and where from."""
    place = np.full(n, -1, np.int32)
    for k in range(objects.size):
        place[objects[k]] = k
    starts = np.zeros(objects.size + 1, np.int64)
    for k in range(objects.size):
        count = starts[k]
        for e in range(offsets[objects[k]], offsets[objects[k] + 1]):
            if place[targets[e]] >= 0 and not (kinds.size and kinds[e] == 10):
                count += 1
        starts[k + 1] = count
    found = np.empty(starts[-1], np.int32)
    references = np.empty(starts[-1], np.int64)
    at = 0
    for k in range(objects.size):
        for e in range(offsets[objects[k]], offsets[objects[k] + 1]):
            if place[targets[e]] >= 0 and not (kinds.size and kinds[e] == 10):
                found[at] = place[targets[e]]
                references[at] = e
                at += 1
    return starts, found, references
