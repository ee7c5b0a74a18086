"""Reference chains from GC roots to DynamoDB objects: merged, weighted, drawn by others.

A thousand equal paths are one chain; each node says in which room of the program it stands, how many objects
stand for it and what they retain.
"""

from __future__ import annotations

import dataclasses
import html
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from forensics import units
from forensics.dynamodb.rooms import Room
from forensics.dynamodb.vocabulary import FINDING_KIND, Kind
from forensics.errors import GraphError

if TYPE_CHECKING:
    from forensics.heap.graph import HeapGraph
    from forensics.profiles.model import AllocationProfile

_COLOURS: dict[str, str] = {
    "root": "#4b5563",
    "application": "#c2410c",
    "framework": "#6d28d9",
    "sdk": "#1d4ed8",
    "dynamodb": "#047857",
    "runtime": "#9ca3af",
}


@dataclass(frozen=True)
class ChainNode:
    """One place in the merged graph.

    ``objects`` is the number of heap objects that stand here, ``retained_bytes`` what they keep together.
    """

    id: int
    label: str
    room: Room
    objects: int
    retained_bytes: int
    path: str = ""
    file: str | None = None
    line: int | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChainEdge:
    """All references between two nodes that have the same label; weighted by number and by bytes."""

    source: int
    target: int
    label: str
    references: int
    retained_bytes: int


@dataclass(frozen=True)
class ReferenceChains:
    """The merged graph; node 0 is the virtual root. ``folded`` counts the nodes left out for being small."""

    nodes: tuple[ChainNode, ...]
    edges: tuple[ChainEdge, ...]
    folded: int = 0

    def __len__(self) -> int:
        return len(self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """The schema ``forensics.chains/1`` as plain JSON types."""
        return {
            "schema": "forensics.chains/1",
            "nodes": [dataclasses.asdict(node) for node in self.nodes],
            "edges": [dataclasses.asdict(edge) for edge in self.edges],
            "folded": self.folded,
        }

    def to_json(self) -> str:
        """``to_dict`` as text, two spaces of indent."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_pandas(self) -> pd.DataFrame:
        """The edges, one row each, with the labels of both ends."""
        by_id = {node.id: node for node in self.nodes}
        return pd.DataFrame(
            [
                {
                    "source": by_id[edge.source].label,
                    "reference": edge.label,
                    "target": by_id[edge.target].label,
                    "references": edge.references,
                    "retained_bytes": edge.retained_bytes,
                }
                for edge in self.edges
            ],
            columns=["source", "reference", "target", "references", "retained_bytes"],
        )

    def to_dot(self) -> str:
        """The graph in Graphviz' language; every label is quoted, nothing of a heap is taken as syntax."""
        lines = [
            "digraph chains {",
            "  rankdir=LR;",
            '  node [shape=box, style=rounded, fontname="sans-serif"];',
        ]
        for node in self.nodes:
            many = f"{node.objects:,} objects, " if node.objects else ""
            text = f"{node.label}\n{many}{node.retained_bytes:,} bytes"
            lines.append(f"  n{node.id} [label={_quoted(text)}, color={_quoted(_COLOURS[node.room])}];")
        heaviest = max((edge.retained_bytes for edge in self.edges), default=0) or 1
        for edge in self.edges:
            width = 1 + 4 * edge.retained_bytes / heaviest
            text = edge.label if edge.references <= 1 else f"{edge.label} ×{edge.references:,}"
            lines.append(f"  n{edge.source} -> n{edge.target} [label={_quoted(text)}, penwidth={width:.1f}];")
        return "\n".join([*lines, "}"]) + "\n"

    def __str__(self) -> str:
        children: dict[int, list[ChainEdge]] = {}
        by_id = {node.id: node for node in self.nodes}
        weights = self._weights()
        for edge in sorted(self.edges, key=lambda each: (-weights[each.target], each.target)):
            children.setdefault(edge.source, []).append(edge)
        lines: list[str] = []
        seen: set[int] = set()

        def show(number: int, depth: int, label: str, way: frozenset[int] = frozenset()) -> None:
            node = by_id[number]
            again = " (above)" if number in seen and children.get(number) else ""
            how_many = f"{node.objects:,} × " if node.objects > 1 else ""
            lead = f"{label} → " if label else ""
            lines.append(
                f"{'  ' * depth}{lead}{how_many}{node.label}  {units.size(node.retained_bytes)}{again}"
            )
            if number in seen:
                return
            seen.add(number)
            way |= {number}
            for edge in children.get(number, []):
                if edge.target not in way:  # places of equal paths may refer to one another
                    show(edge.target, depth + 1, edge.label, way)

        targets = {edge.target for edge in self.edges}
        for node in self.nodes:
            if node.id not in targets:
                show(node.id, 0, "")
        if self.folded:
            lines.append(f"… {self.folded:,} smaller places left out")
        return "\n".join(lines) or "no DynamoDB objects are reachable"

    def _weights(self) -> dict[int, int]:
        """The most that one place to which the chains lead retains, at or below each node: it comes first in a list.

        What a node retains itself says little: a function retains 168 bytes, and all of a cache is below it.
        """
        within = {edge.source for edge in self.edges}
        ends = {node.id for node in self.nodes if node.room == "dynamodb" or node.id not in within}
        weights = {node.id: node.retained_bytes if node.id in ends else 0 for node in self.nodes}
        above: dict[int, list[int]] = {}
        for edge in self.edges:
            above.setdefault(edge.target, []).append(edge.source)
        for number in sorted(weights, key=lambda each: -weights[each]):
            # Heaviest first: whoever has a weight already has one that is not less.
            waiting, weight = [number], weights[number]
            while waiting:
                for source in above.get(waiting.pop(), ()):
                    if weights[source] < weight:
                        weights[source] = weight
                        waiting.append(source)
        return weights

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "")
    return f'"{escaped}"'


def chains(
    graph: HeapGraph, *, sources: pd.DataFrame | None = None, limit: int = 24, to: str | None = None
) -> ReferenceChains:
    """The merged chains from the roots to the DynamoDB objects of a graph, the heaviest ``limit`` of them.

    Parameters
    ----------
    graph : one snapshot
    sources : the program's lines, for ``file`` and ``line`` of the nodes
    limit : merged paths to draw; what is left out is counted in ``folded``
    to : only chains to this kind (response, items, item, token, client …)

    Raises
    ------
    GraphError : ``to`` is no kind of DynamoDB object.
    """
    from forensics.dynamodb.merge import merge

    return merge(graph, sources, limit, _kinds(to))


def of_references(profile: AllocationProfile, *, limit: int = 24, to: str | None = None) -> ReferenceChains:
    """The same of a Go process, out of the references that grf walked; see ``forensics.dynamodb.go_references``.

    Raises
    ------
    GraphError : ``to`` is no kind of DynamoDB object.
    """
    from forensics.dynamodb.go_references import reference_chains

    return reference_chains(profile, kinds=_kinds(to), limit=limit)


def _kinds(to: str | None) -> frozenset[Kind] | None:
    if to is None:
        return None
    kinds = frozenset(kind for kind, word in FINDING_KIND.items() if word == to)
    if not kinds:
        words = ", ".join(dict.fromkeys(FINDING_KIND.values()))
        raise GraphError(f"There are no chains to {to!r}.", advice=f"The kinds are {words}.", to=to)
    return kinds


def draw_live(objects: list[Any], filename: str | None = None, **options: Any) -> Any:
    """objgraph's own drawing of what refers to ``objects`` in this very process, for work in a notebook's kernel.

    Parameters and result are those of ``objgraph.show_backrefs``; Graphviz must be installed for a picture.
    """
    import objgraph

    settings: dict[str, Any] = {"max_depth": 8, "too_many": 6, "refcounts": True, **options}
    if filename is not None:
        settings["filename"] = filename
    return objgraph.show_backrefs(objects, **settings)
