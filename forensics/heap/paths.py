"""Paths from the roots to one object: the nearest one, and others that differ from it.

The others are found as sidetracks from the forest of nearest ways (D. Eppstein, "Finding the k shortest paths",
SIAM J. Computing 28(2), 1998): a path is the nearest way to some referrer, the reference that leaves the forest,
and the rest of a path already found. They come in the order of their cost; those that meet themselves are dropped.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from .compiled import frozen
from .expression import write
from .nearest import Nearest, edge_costs, root_costs
from .path import Path

if TYPE_CHECKING:
    from .graph import HeapGraph

#: Referrers of one object that are looked at; ``None`` alone has a hundred thousand.
_FAN_IN = 64
#: Paths that are taken up before giving up on finding ``limit`` different ones.
_PATIENCE = 300
#: A reference that costs so much (a function's globals, the frame below) is no other way to hold something.
_TOO_DEAR = 60
#: Longest way along which sidetracks are looked for.
_LONGEST = 200


def nearest_path(graph: HeapGraph, i: int, *, holder: bool = False) -> Path:
    """The path a person would take to object *i*; for garbage one from within its cycle."""
    nearest = graph.nearest()
    if nearest.cost[i] < 0:
        from .garbage import garbage_path

        return garbage_path(graph, i, holder=holder)
    objects, references = _defined(graph, *nearest.way(i))
    return write(graph, frozen(objects), frozen(references), int(nearest.root[objects[0]]), holder=holder)


def paths_to_roots(graph: HeapGraph, i: int, limit: int) -> list[Path]:
    """Up to ``limit`` paths that read differently, nearest first."""
    if limit < 1:
        return []
    first = nearest_path(graph, i)
    found = [first]
    seen = {first.expression}
    if first.root_kind == "unreachable" or limit == 1:
        return found
    for objects, references, root in _others(graph, i):
        path = write(graph, objects, references, root)
        if path.expression not in seen:
            seen.add(path.expression)
            found.append(path)
            if len(found) == limit:
                break
    return found


def _others(graph: HeapGraph, i: int):
    """(objects, references, root) of further simple paths in the order of their cost."""
    nearest = graph.nearest()
    # A path is kept as its end: objects and references from where it left the forest. What lies before is the
    # nearest way to the first of these objects, or nothing if that one is taken as a root.
    start = (int(nearest.cost[i]), 0, (i,), (), False)
    queue = [start]
    count = 0
    for _ in range(_PATIENCE):
        if not queue:
            return
        _, _, tail, references, fixed = heapq.heappop(queue)
        if fixed:
            before, way = np.array(tail[:1], np.int32), np.empty(0, np.int64)
            root = _root_of(graph, tail[0])
        else:
            before, way = nearest.way(tail[0])
            root = int(nearest.root[before[0]])
        objects = np.concatenate([before, np.array(tail[1:], np.int32)])
        whole = np.concatenate([way, np.array(references, np.int64)])
        if len(np.unique(objects)) == len(objects):
            yield frozen(objects), frozen(whole), root
        if not fixed and len(before) <= _LONGEST:
            for entry in _sidetracks(graph, nearest, before, way, tail, references):
                count += 1
                heapq.heappush(queue, (entry[0], count, *entry[1:]))
        count += 1


def _sidetracks(graph: HeapGraph, nearest: Nearest, before, way, tail, references):
    """Entries of the queue: every way to leave the forest along the nearest way ``before``."""
    incoming = graph.incoming()
    costs = root_costs(graph)
    end = set(tail[1:])
    tail_cost = int(edge_costs(graph, np.array(references, np.int64), _sources(graph, references)).sum())
    for k in range(len(before) - 1, -1, -1):
        at = int(before[k])
        rest = (at, *before[k + 1 :].tolist(), *tail[1:])
        rest_references = (*way[k:].tolist(), *references)
        rest_cost = tail_cost + int(nearest.cost[before[-1]]) - int(nearest.cost[at])
        taken = int(way[k - 1]) if k else -1
        edges, sources = incoming.edges_to(at), incoming.of(at)
        usable = (edges != taken) & (nearest.cost[sources] >= 0) & graph.is_strong(edges)
        edges, sources = edges[usable], sources[usable]
        steps = edge_costs(graph, edges, sources)
        edges, sources, steps = edges[steps < _TOO_DEAR], sources[steps < _TOO_DEAR], steps[steps < _TOO_DEAR]
        entry_costs = nearest.cost[sources] + steps
        if len(edges) > _FAN_IN:
            best = np.argpartition(entry_costs, _FAN_IN)[:_FAN_IN]
            edges, sources, entry_costs = edges[best], sources[best], entry_costs[best]
        for edge, source, cost in zip(edges.tolist(), sources.tolist(), entry_costs.tolist(), strict=True):
            if source != at and source not in end:
                yield int(cost) + rest_cost, (source, *rest), (edge, *rest_references), False
        if k:
            rows = np.flatnonzero(graph.root_objects == at)
            if rows.size:
                yield int(costs[rows].min()) + rest_cost, rest, rest_references, True


def _sources(graph: HeapGraph, references) -> np.ndarray:
    return graph.sources_of(np.array(references, np.int64))


def _root_of(graph: HeapGraph, i: int) -> int:
    rows = np.flatnonzero(graph.root_objects == i)
    return int(rows[np.argmin(root_costs(graph)[rows])])


def _defined(graph: HeapGraph, objects: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same path through the module that defines the variable, where several modules refer to it."""
    modules = graph.modules()
    if len(references) < 3 or objects[0] != modules.table or int(objects[2]) not in modules.namespaces:
        return objects, references
    best = graph.variables().best(int(objects[3]))
    if best is None or best[2] == references[2]:
        return objects, references
    module, space, reference = best
    entry = graph.references_between(modules.table, module)[0]
    to_space = graph.references_between(module, space)[0]
    objects, references = objects.copy(), references.copy()
    objects[1:3] = module, space
    references[:3] = entry, to_space, reference
    return objects, references
