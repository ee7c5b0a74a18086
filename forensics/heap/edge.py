"""Edge: one reference with its kind and its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.agent.stream import EdgeKind

if TYPE_CHECKING:
    from .graph import HeapGraph

_BY_STRING = (EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CLOSURE, EdgeKind.SLOT, EdgeKind.INTERNAL)


@dataclass(frozen=True)
class Edge:
    """A reference of object ``source`` to object ``target``.

    ``index`` is its place in the graph's ``targets``; ``label`` the raw number there, whose meaning depends
    on ``kind``; ``label_text`` what it says.
    """

    kind: EdgeKind
    label_text: str
    target: int
    source: int
    index: int
    label: int


def edge_at(graph: HeapGraph, e: int, source: int) -> Edge:
    """The reference at index *e*, one of those of ``source``."""
    return Edge(
        EdgeKind(int(graph.kinds[e])),
        label_text(graph, e),
        int(graph.targets[e]),
        source,
        e,
        int(graph.labels[e]),
    )


def label_text(graph: HeapGraph, e: int) -> str:
    """What the reference at index *e* is called; empty where it has no name."""
    kind, label = int(graph.kinds[e]), int(graph.labels[e])
    if label < 0 or kind in (EdgeKind.KEY_OBJECT, EdgeKind.WEAK):
        return ""
    if kind == EdgeKind.KEY:
        return key_text(graph, label)
    if kind in _BY_STRING:
        return str(graph.strings[label].as_py())
    return str(label)


def key_text(graph: HeapGraph, key: int) -> str:
    """The text of a key that is a string, else its preview."""
    text = graph.text(key)
    return graph.preview(key) if text is None else text


def children_by_key(graph: HeapGraph, i: int) -> dict[str, int]:
    """See ``HeapGraph.children_by_key``."""
    found: dict[str, int] = {}
    namespace = -1
    for edge in graph.edges_of(i):
        if edge.kind is EdgeKind.SLOT and edge.label_text == "__dict__":
            namespace = edge.target
        elif edge.kind in (EdgeKind.KEY, EdgeKind.ATTRIBUTE, EdgeKind.SLOT, EdgeKind.LOCAL):
            found.setdefault(edge.label_text, edge.target)
    if namespace >= 0 and namespace != i:
        for edge in graph.edges_of(namespace):
            if edge.kind is EdgeKind.KEY:
                found.setdefault(edge.label_text, edge.target)
    return found
