"""Passes over ReferenceChains before they are drawn: keep what concerns one path, keep it small.

Each pass is a plain function ``ReferenceChains -> ReferenceChains``; what it leaves out is added to ``folded``.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable

from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.findings import Finding

__all__ = ["from_finding", "only_path", "smallest", "title", "weighty", "without"]


def smallest(chains: ReferenceChains, limit: int) -> ReferenceChains:
    """At most ``limit`` nodes: the heaviest, with the heaviest way from a root to each."""
    if len(chains.nodes) <= limit:
        return chains
    parent = _heaviest_parents(chains)
    kept: set[int] = set()
    for node in sorted(chains.nodes, key=lambda each: -each.retained_bytes):
        way = _way(node.id, parent)
        if len(kept.union(way)) > limit:
            continue
        kept.update(way)
    return _keep(chains, kept)


def weighty(chains: ReferenceChains, min_share: float) -> ReferenceChains:
    """The nodes that keep at least ``min_share`` of what the heaviest one below the roots keeps, and their ways."""
    targets = {edge.target for edge in chains.edges}
    heaviest = max((node.retained_bytes for node in chains.nodes if node.id in targets), default=0)
    heavy = {
        node.id for node in chains.nodes if node.id in targets and node.retained_bytes >= min_share * heaviest
    }
    if not heavy:
        return chains
    return _keep(chains, _closure(heavy, ((edge.target, edge.source) for edge in chains.edges)))


def only_path(chains: ReferenceChains, path: str) -> ReferenceChains | None:
    """The node that stands for ``path``, its ways from the roots and what hangs below; None if there is none."""
    home = [node for node in chains.nodes if node.path == path]
    if not home:
        stems = (".", "[", "'", " ")
        home = [node for node in chains.nodes if node.path and node.path.startswith(path)]
        home = [node for node in home if node.path[len(path) :].startswith(stems)]
        home = sorted(home, key=lambda node: len(node.path))[:1]
    if not home:
        return None
    start = {home[0].id}
    above = _closure(start, ((edge.target, edge.source) for edge in chains.edges))
    below = _closure(start, ((edge.source, edge.target) for edge in chains.edges))
    return _keep(chains, above | below)


def title(node: ChainNode) -> str:
    """What to call a node: an application's place by its path, everything else by its label."""
    by_path = node.room == "application" and node.path and len(node.path) <= 80
    return node.path if by_path else node.label


def without(chains: ReferenceChains, dropped: set[int], starts: set[int]) -> ReferenceChains:
    """The graph less ``dropped`` and less what is then out of reach of ``starts``."""
    pairs = ((e.source, e.target) for e in chains.edges if not dropped & {e.source, e.target})
    return _keep(chains, _closure(starts, pairs))


def from_finding(finding: Finding) -> ReferenceChains:
    """The chain a finding tells by itself, as a graph: for captures whose chains do not reach its retainer."""
    steps = finding.retainer.chain or (finding.retainer.path,)
    last = len(steps) - 1
    nodes = tuple(
        ChainNode(
            id=index,
            label=step,
            room="root" if index == 0 and last else "application",
            objects=1,
            retained_bytes=finding.retained_bytes,
            path=finding.retainer.path if index == last else "",
            file=finding.retainer.file if index == last else None,
            line=finding.retainer.line if index == last else None,
        )
        for index, step in enumerate(steps)
    )
    if finding.dynamodb:
        held = finding.dynamodb
        source = " ".join(filter(None, [held.operation, held.table and f"on {held.table}"]))
        noun = f"DynamoDB {held.kind}" + (f" from {source}" if source else "")
        nodes += (ChainNode(last + 1, noun, "dynamodb", held.count, finding.retained_bytes),)
    edges = tuple(
        ChainEdge(a.id, b.id, "", b.objects, b.retained_bytes) for a, b in itertools.pairwise(nodes)
    )
    return ReferenceChains(nodes, edges)


def _heaviest_parents(chains: ReferenceChains) -> dict[int, int]:
    """For every node a parent on the way from a root whose lightest reference is heaviest (Prim 1957)."""
    children: dict[int, list[ChainEdge]] = {}
    for edge in chains.edges:
        children.setdefault(edge.source, []).append(edge)
    targets = {edge.target for edge in chains.edges}
    starts = [node.id for node in chains.nodes if node.id not in targets] or [chains.nodes[0].id]
    parent: dict[int, int] = {}
    seen: set[int] = set()
    waiting = [(0, number, number) for number in starts]
    while waiting:
        _, number, source = heapq.heappop(waiting)
        if number in seen:
            continue
        seen.add(number)
        if source != number:
            parent[number] = source
        for edge in children.get(number, []):
            heapq.heappush(waiting, (-edge.retained_bytes, edge.target, number))
    return parent


def _way(node: int, parent: dict[int, int]) -> list[int]:
    way = [node]
    while way[-1] in parent:
        way.append(parent[way[-1]])
    return way


def _closure(start: set[int], pairs: Iterable[tuple[int, int]]) -> set[int]:
    onwards: dict[int, list[int]] = {}
    for source, target in pairs:
        onwards.setdefault(source, []).append(target)
    seen, stack = set(start), list(start)
    while stack:
        for other in onwards.get(stack.pop(), []):
            if other not in seen:
                seen.add(other)
                stack.append(other)
    return seen


def _keep(chains: ReferenceChains, kept: set[int]) -> ReferenceChains:
    return ReferenceChains(
        nodes=tuple(node for node in chains.nodes if node.id in kept),
        edges=tuple(edge for edge in chains.edges if edge.source in kept and edge.target in kept),
        folded=chains.folded + sum(node.id not in kept for node in chains.nodes),
    )
