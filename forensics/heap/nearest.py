"""For every object the way from a root that a person would take: cheapest first, all of them in one sweep.

Steps a person can write (an attribute, a key, a position) are cheap, the interpreter's plumbing around them is
free, and what merely happens to lead there (a function's globals, a class's bases, an unnamed internal reference)
is dear. Dijkstra with small whole costs in a circular bucket queue: R. B. Dial, "Algorithm 360: Shortest-path
forest with topological ordering", CACM 12(11), 1969; linear in the number of references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind, RootKind

from .compiled import compiled, frozen

if TYPE_CHECKING:
    from .graph import HeapGraph

_KEY, _SLOT, _WEAK = int(EdgeKind.KEY), int(EdgeKind.SLOT), int(EdgeKind.WEAK)

#: What a step costs; 2 is one step that a person writes. Every cost is below ``_BUCKETS``.
_KIND_COSTS = {
    EdgeKind.INTERNAL: 8,
    EdgeKind.ATTRIBUTE: 2,
    EdgeKind.KEY: 2,
    EdgeKind.KEY_OBJECT: 5,
    EdgeKind.ITEM: 2,
    EdgeKind.MEMBER: 3,
    EdgeKind.LOCAL: 2,
    EdgeKind.CLOSURE: 3,
    EdgeKind.SLOT: 2,
    EdgeKind.CODE_CONSTANT: 6,
    EdgeKind.WEAK: 0,
}
_SLOT_COSTS = {
    "__dict__": 0,
    "cell_contents": 0,
    "cache": 1,
    "__closure__": 4,
    "__self__": 4,
    "__func__": 4,
    "__wrapped__": 3,
    "__annotations__": 8,
    "__traceback__": 6,
    "__context__": 6,
    "__cause__": 6,
    "__code__": 10,
    "gi_code": 10,
    "cr_code": 10,
    "ag_code": 10,
    "f_code": 10,
    "__globals__": 60,
    "__builtins__": 60,
    "f_back": 60,
    "f_globals": 60,
    "f_builtins": 60,
    "__mro__": 30,
    "__base__": 30,
    "__bases__": 30,
    "__class__": 20,
    "__subclasses__": 30,
}
_ROOT_COSTS = {
    RootKind.MODULES: 0,
    RootKind.BUILTINS: 6,
    RootKind.SYS: 6,
    RootKind.FRAME: 8,
    RootKind.THREAD: 8,
    RootKind.CONTEXT: 8,
    RootKind.NATIVE: 30,
    RootKind.OTHER: 12,
}
_MODULE_COSTS = {"application": 2, "library": 4, "stdlib": 6, "agent": 40}
_BUCKETS = 64


@dataclass(frozen=True, eq=False)
class Nearest:
    """A forest of cheapest ways from the roots; arrays are read-only.

    Attributes
    ----------
    cost : int32[n], -1 where unreachable
    parent : int32[n], the object before on the way; -1 for a root's own way and where unreachable
    edge : int64[n], the reference taken from ``parent``; -1 likewise
    root : int32[n], for objects entered as roots the index of the root, else -1
    """

    cost: np.ndarray
    parent: np.ndarray
    edge: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, graph: HeapGraph) -> Nearest:
        """Sweep over the whole graph: 28 bytes for each object while it runs."""
        slot_costs, module_costs, table = cost_tables(graph)
        return cls(
            *map(
                frozen,
                _sweep(
                    graph.offsets,
                    graph.targets,
                    frozen(graph.kinds),
                    frozen(graph.labels),
                    graph.root_objects,
                    root_costs(graph),
                    frozen(KIND_COSTS),
                    slot_costs,
                    module_costs,
                    table,
                ),
            )
        )

    def way(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """The way to object *i*: int32 objects, root first, and int64 references between them."""
        objects, edges = _climb(self.parent, self.edge, i)
        return objects, edges


KIND_COSTS = np.array([_KIND_COSTS[kind] for kind in EdgeKind], np.int32)


def root_costs(graph: HeapGraph) -> np.ndarray:
    """int32[k]."""
    costs = np.array([_ROOT_COSTS[kind] for kind in RootKind], np.int32)
    return frozen(costs[np.minimum(graph.root_kinds, len(costs) - 1)])


def cost_tables(graph: HeapGraph) -> tuple[np.ndarray, np.ndarray, int]:
    """Costs of slots by string (uint8), of entries of ``sys.modules`` by place (uint8), and that object."""
    from . import javascript

    known, usual = _SLOT_COSTS, _KIND_COSTS[EdgeKind.SLOT]
    if javascript.is_node(graph):
        known, usual = javascript.SLOT_COSTS, javascript.OTHER_SLOT
    slots = np.full(max(1, len(graph.strings)), usual, np.uint8)
    for name, indices in graph.slot_labels().items():
        slots[indices] = known.get(name, usual)
    modules = graph.modules()
    costs = np.empty(0, np.uint8)
    if modules.table >= 0:
        begin, end = (int(graph.offsets[modules.table + k]) for k in (0, 1))
        costs = np.full(end - begin, _KIND_COSTS[EdgeKind.KEY], np.uint8)
        for place, target in enumerate(graph.targets[begin:end].tolist()):
            costs[place] = _MODULE_COSTS[modules.origins.get(target, "stdlib")]
    return frozen(slots), frozen(costs), modules.table


def edge_costs(graph: HeapGraph, edges: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """int32: the cost of these references."""
    slots, modules, table = graph._once("cost_tables", lambda: cost_tables(graph))
    kinds, labels = graph.kinds[edges], graph.labels[edges]
    costs = KIND_COSTS[kinds]
    named = (kinds == _SLOT) & (labels >= 0)
    costs[named] = slots[labels[named]]
    entries = (sources == table) & (kinds == _KEY)
    costs[entries] = modules[edges[entries] - int(graph.offsets[table])] if table >= 0 else 0
    return costs


@compiled
def _sweep(offsets, targets, kinds, labels, roots, root_costs, kind_costs, slot_costs, module_costs, table):
    n = offsets.size - 1
    cost = np.full(n, np.int32(2147483647), np.int32)
    parent = np.full(n, -1, np.int32)
    edge = np.full(n, -1, np.int64)
    entered = np.full(n, -1, np.int32)
    after = np.full(n, -1, np.int32)  # within a bucket
    before = np.full(n, -1, np.int32)
    head = np.full(_BUCKETS, -1, np.int32)
    tail = np.full(_BUCKETS, -1, np.int32)
    waiting = 0
    for r in range(roots.size):
        i = roots[r]
        if root_costs[r] < cost[i]:
            if entered[i] >= 0:
                _unlink(i, cost[i] % _BUCKETS, head, tail, after, before)
            else:
                waiting += 1
            cost[i] = root_costs[r]
            entered[i] = r
            _link(i, cost[i] % _BUCKETS, head, tail, after, before)
    at = 0
    while waiting:
        bucket = at % _BUCKETS
        source = head[bucket]
        if source < 0:
            at += 1
            continue
        _unlink(source, bucket, head, tail, after, before)
        waiting -= 1
        for e in range(offsets[source], offsets[source + 1]):
            kind = kinds[e]
            if kind == _WEAK:
                continue
            step = kind_costs[kind]
            if kind == _SLOT and labels[e] >= 0:
                step = np.int32(slot_costs[labels[e]])
            elif source == table and kind == _KEY:
                step = np.int32(module_costs[e - offsets[source]])
            target = targets[e]
            found = np.int32(at + step)
            if found < cost[target]:
                if cost[target] != 2147483647:
                    _unlink(target, cost[target] % _BUCKETS, head, tail, after, before)
                else:
                    waiting += 1
                cost[target] = found
                parent[target] = source
                edge[target] = e
                entered[target] = -1
                _link(target, found % _BUCKETS, head, tail, after, before)
    for i in range(n):
        if cost[i] == 2147483647:
            cost[i] = -1
    return cost, parent, edge, entered


@compiled
def _link(i, bucket, head, tail, after, before):
    """First in, first out: of two ways that cost the same the one that was found first stays."""
    before[i] = tail[bucket]
    after[i] = -1
    if tail[bucket] >= 0:
        after[tail[bucket]] = i
    else:
        head[bucket] = i
    tail[bucket] = i


@compiled
def _unlink(i, bucket, head, tail, after, before):
    if before[i] >= 0:
        after[before[i]] = after[i]
    else:
        head[bucket] = after[i]
    if after[i] >= 0:
        before[after[i]] = before[i]
    else:
        tail[bucket] = before[i]


@compiled
def _climb(parent, edge, i):
    steps = 0
    at = i
    while parent[at] >= 0:
        at = parent[at]
        steps += 1
    objects = np.empty(steps + 1, np.int32)
    edges = np.empty(steps, np.int64)
    at = np.int64(i)
    for k in range(steps, 0, -1):
        objects[k] = at
        edges[k - 1] = edge[at]
        at = parent[at]
    objects[0] = at
    return objects, edges
