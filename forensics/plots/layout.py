"""Layers for a small directed graph: roots in the first layer, every edge pointing onwards where it can.

The method is Sugiyama's (Sugiyama, Tagawa, Toda 1981) cut down to what a few dozen nodes need: longest-path
layering on the graph without its back edges, then a few barycentre sweeps against crossings.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Rows = list[list[int]]


@dataclass(frozen=True)
class Layered:
    """Where everything goes.

    ``rows`` are lists of ids in drawing order, one a layer; an id below zero is not a node but the place where
    a long edge passes that layer. ``routes`` names for each edge that points onwards the ids it passes, both
    ends included; edges that point back have none.
    """

    rows: Rows
    routes: dict[tuple[int, int], list[int]]


def layered(nodes: Sequence[int], edges: Iterable[tuple[int, int]]) -> Layered:
    """Lay out a small graph.

    Parameters
    ----------
    nodes : ids ≥ 0 in order of preference (the heaviest first)
    edges : (source, target) pairs of ids; edges to unknown ids and loops are ignored
    """
    known = set(nodes)
    pairs = sorted({(a, b) for a, b in edges if a != b and a in known and b in known})
    forward = _without_back_edges(nodes, pairs)
    depth = _longest_path(nodes, forward)
    rows: Rows = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in nodes:
        rows[depth[node]].append(node)
    routes: dict[tuple[int, int], list[int]] = {}
    bend = 0
    for source, target in forward:
        route = [source]
        for level in range(depth[source] + 1, depth[target]):
            bend -= 1
            rows[level].append(bend)
            route.append(bend)
        routes[source, target] = [*route, target]
    steps = [step for route in routes.values() for step in itertools.pairwise(route)]
    return Layered(_untangle(rows, steps), routes)


def _without_back_edges(nodes: Sequence[int], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    children: dict[int, list[int]] = {node: [] for node in nodes}
    for source, target in pairs:
        children[source].append(target)
    targets = {target for _, target in pairs}
    state: dict[int, int] = {}
    kept: list[tuple[int, int]] = []
    for start in [*(node for node in nodes if node not in targets), *nodes]:
        if start in state:
            continue
        state[start] = 1
        stack = [(start, iter(children[start]))]
        while stack:
            node, rest = stack[-1]
            for child in rest:
                if state.get(child) == 1:
                    continue
                kept.append((node, child))
                if child not in state:
                    state[child] = 1
                    stack.append((child, iter(children[child])))
                    break
            else:
                state[node] = 2
                stack.pop()
    return kept


def _longest_path(nodes: Sequence[int], edges: list[tuple[int, int]]) -> dict[int, int]:
    depth = dict.fromkeys(nodes, 0)
    for _ in nodes:
        moved = False
        for source, target in edges:
            if depth[target] <= depth[source]:
                depth[target] = depth[source] + 1
                moved = True
        if not moved:
            break
    return depth


def _untangle(result: Rows, edges: list[tuple[int, int]]) -> Rows:
    parents: dict[int, list[int]] = {}
    children: dict[int, list[int]] = {}
    for source, target in edges:
        parents.setdefault(target, []).append(source)
        children.setdefault(source, []).append(target)
    for sweep in range(4):
        downwards = sweep % 2 == 0
        order = range(1, len(result)) if downwards else range(len(result) - 2, -1, -1)
        neighbours = parents if downwards else children
        for index in order:
            place = {
                node: position / max(len(layer) - 1, 1) if len(layer) > 1 else 0.5
                for layer in result
                for position, node in enumerate(layer)
            }

            def centre(node: int, place: dict[int, float] = place) -> float:
                near = neighbours.get(node)  # noqa: B023 - used within this turn of the loop only
                return sum(place[other] for other in near) / len(near) if near else place[node]

            result[index] = sorted(result[index], key=centre)
    return result
