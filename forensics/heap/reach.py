"""Which objects are alive, and who refers to whom the other way round."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forensics.agent.stream import EdgeKind

from .compiled import compiled

_WEAK = int(EdgeKind.WEAK)


@dataclass(frozen=True, eq=False)
class Incoming:
    """The references of a graph by target (compressed sparse rows), weak ones included.

    Object *i* is referred to by ``sources[offsets[i]:offsets[i + 1]]`` through the references
    ``edges[offsets[i]:offsets[i + 1]]`` (indices into the graph's ``targets``, ``kinds`` and ``labels``).

    Attributes
    ----------
    offsets : int64[n + 1]
    sources : int32[m], ascending for each object
    edges : int64[m]
    """

    offsets: np.ndarray
    sources: np.ndarray
    edges: np.ndarray

    def of(self, i: int) -> np.ndarray:
        """The objects that refer to *i*, int32, a view; one that refers twice stands there twice."""
        return self.sources[self.offsets[i] : self.offsets[i + 1]]

    def edges_to(self, i: int) -> np.ndarray:
        """The references to *i*, int64, a view."""
        return self.edges[self.offsets[i] : self.offsets[i + 1]]


@compiled
def invert(offsets, targets):
    """int64[n + 1], int32[m], int64[m]: the arrays of ``Incoming``, by counting sort."""
    n = offsets.size - 1
    starts = np.zeros(n + 2, np.int64)
    for e in range(targets.size):
        starts[targets[e] + 2] += 1
    for i in range(n):
        starts[i + 2] += starts[i + 1]
    sources = np.empty(targets.size, np.int32)
    edges = np.empty(targets.size, np.int64)
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            at = starts[targets[e] + 1]
            starts[targets[e] + 1] = at + 1
            sources[at] = i
            edges[at] = e
    return starts[: n + 1].copy(), sources, edges


@compiled
def reach(offsets, targets, kinds, roots, blocked, cut):
    """bool[n]: what is alive.

    Parameters
    ----------
    kinds : uint8[m], or empty where no reference is weak
    blocked : int32 objects that are not entered
    cut : int64, sorted, references that are not followed
    """
    n = offsets.size - 1
    alive = np.zeros(n, np.bool_)
    barred = np.zeros(n if blocked.size else 0, np.bool_)
    for b in blocked:
        barred[b] = True
    stack = np.empty(n, np.int32)
    top = 0
    for root in roots:
        if not alive[root] and not (barred.size and barred[root]):
            alive[root] = True
            stack[top] = root
            top += 1
    while top:
        top -= 1
        source = stack[top]
        for e in range(offsets[source], offsets[source + 1]):
            target = targets[e]
            if alive[target] or (kinds.size and kinds[e] == _WEAK):
                continue
            if barred.size and barred[target]:
                continue
            if cut.size:
                place = np.searchsorted(cut, e)
                if place < cut.size and cut[place] == e:
                    continue
            alive[target] = True
            stack[top] = target
            top += 1
    return alive


@compiled
def bytes_of(sizes, alive):
    """The bytes of the objects marked in ``alive``."""
    total = np.int64(0)
    for i in range(sizes.size):
        if alive[i]:
            total += sizes[i]
    return total
