"""Merge the paths to DynamoDB objects into one weighted graph; equal signatures are one node."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from forensics.agent.stream import EdgeKind
from forensics.dynamodb import kernels, places
from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.dynamodb.ownership import Group, Ownership, groups, namespaces, outstanding, ownership
from forensics.dynamodb.recognise import DynamoObjects, recognise
from forensics.dynamodb.rooms import Room, room_of
from forensics.dynamodb.vocabulary import Kind
from forensics.heap.captured import SAID, is_unused
from forensics.heap.graph import HeapGraph

_NOUN = {
    Kind.RESPONSE: "response",
    Kind.METADATA: "ResponseMetadata",
    Kind.ITEMS: "Items",
    Kind.ITEM: "item",
    Kind.RESOURCE_ITEM: "item",
    Kind.ATTRIBUTE_VALUE: "attribute value",
    Kind.BINARY: "binary value",
    Kind.TOKEN: "page token",
    Kind.REQUEST: "request parameters",
    Kind.STREAM_RECORD: "stream record",
    Kind.COPY: "copy of an item",
    Kind.RAW_BODY: "raw response",
}
#: What lies between a variable and what it refers to, and has no name in any source.
_HIDDEN = ("cell", "Map table", "Set table", "system / Context", "(object elements)", "(object properties)")
#: Deeper ways are cut in the middle: a linked list of pages would draw a node for each.
_LONGEST = 40


@dataclass
class _Draft:
    """A node while it is merged; ``above`` maps the parent's signature to the label and the references."""

    signature: int
    ids: np.ndarray
    above: dict[int, tuple[str, int]] = field(default_factory=dict)


def merge(
    graph: HeapGraph, sources: pd.DataFrame | None, limit: int, kinds: frozenset[Kind] | None = None
) -> ReferenceChains:
    """See ``forensics.dynamodb.chains.chains``."""
    found, own = recognise(graph), ownership(graph)
    skip = namespaces(graph)
    every = outstanding(graph, groups(graph))
    if kinds is not None:
        every = [group for group in groups(graph) if group.kind in kinds]
    every.sort(key=lambda group: -_bytes_below(graph, group))
    drafts: dict[int, _Draft] = {}
    for group in every[:limit]:
        _climb(graph, own, skip, group, drafts)
    return _finish(graph, found, own, drafts, sources, folded=max(0, len(every) - limit))


def _bytes_below(graph: HeapGraph, group: Group) -> int:
    stop = np.zeros(len(graph), np.bool_)
    inside = kernels.content(
        graph.offsets, graph.targets, graph.kinds, group.members[:1].astype(np.int64), stop, True
    )
    # One member stands for all: their shapes are alike, and this only ranks. SDK objects reach everything.
    return min(int(graph.shallow_sizes[inside].sum()), 10_000_000) * len(group)


def _climb(
    graph: HeapGraph, own: Ownership, skip: np.ndarray, group: Group, drafts: dict[int, _Draft]
) -> None:
    """Note every level from the members up to the root."""
    level = group.members
    below: _Draft | None = None
    label, references = "", 0
    for _ in range(_LONGEST):
        at = int(level[0])
        hidden = bool(skip[at]) or graph.type_name(at) in _HIDDEN
        if not hidden:
            signature = int(own.signatures[at])
            draft = drafts.setdefault(signature, _Draft(signature, level))
            draft.ids = np.union1d(draft.ids, level)
            if below is not None:
                before = below.above.get(signature, (label, 0))
                below.above[signature] = before[0], max(before[1], references)
            below, label, references = draft, "", 0
        own_label = _label(graph, own, level)
        label = (
            own_label + label if own_label.startswith("[") and label.startswith("[") else label or own_label
        )
        references = max(references, len(level))
        parents = own.parents[level]
        parents = np.unique(parents[parents >= 0])
        if not len(parents):
            break
        level = parents
    if below is not None:
        below.above.setdefault(-1, (label, max(1, references)))


def _label(graph: HeapGraph, own: Ownership, level: np.ndarray) -> str:
    """How the parents refer to this level: a name, or a position that stands for many."""
    edge = int(own.parent_edges[level[0]])
    if edge < 0:
        return ""
    kind = EdgeKind(int(graph.kinds[edge]))
    text = graph.label_text(edge)
    if kind in (EdgeKind.KEY, EdgeKind.ITEM, EdgeKind.MEMBER):
        from_namespace = bool(namespaces(graph)[int(own.parents[level[0]])])
        if from_namespace:
            return text
        return "[…]" if len(level) > 1 else f"[{text}]"
    if kind == EdgeKind.LOCAL:
        return f"local {text}"
    if kind == EdgeKind.CLOSURE and is_unused(graph, own.parent_edges[level]).all():
        return f"{text} ({SAID})"
    return text if text not in ("__dict__", "cell_contents") else ""


def _finish(
    graph: HeapGraph,
    found: DynamoObjects,
    own: Ownership,
    drafts: dict[int, _Draft],
    sources: pd.DataFrame | None,
    folded: int,
) -> ReferenceChains:
    if not drafts:
        return ReferenceChains((), (), folded)
    number = {signature: k for k, signature in enumerate(drafts, 1)}
    live = graph.live_bytes()
    nodes = [ChainNode(0, "GC roots", "root", len(graph.root_objects), live)]
    retained = {signature: _retained(graph, own, draft) for signature, draft in drafts.items()}
    for signature, draft in drafts.items():
        nodes.append(_node(graph, found, draft, number[signature], retained[signature], sources))
    edges = []
    for signature, draft in drafts.items():
        for above, (label, references) in draft.above.items():
            source = number.get(above, 0)
            edges.append(ChainEdge(source, number[signature], label, references, retained[signature]))
    return ReferenceChains(tuple(nodes), tuple(edges), folded)


def _retained(graph: HeapGraph, own: Ownership, draft: _Draft) -> int:
    if own.unreachable[draft.ids[0]]:
        return int(graph.shallow_sizes[draft.ids].sum())
    return graph.retained_size_of(draft.ids)


def _node(
    graph: HeapGraph,
    found: DynamoObjects,
    draft: _Draft,
    number: int,
    retained: int,
    sources: pd.DataFrame | None,
) -> ChainNode:
    first = int(draft.ids[0])
    kind = Kind(int(found.kind_of[first]))
    type_name = graph.type_name(first)
    path = graph.paths_to_roots(first, limit=1)
    expression = path[0].expression if path else type_name
    room: Room = "dynamodb" if kind in _NOUN else room_of(graph, first, expression)
    label = _NOUN.get(kind, "") or (expression if type_name in ("module", "frame") else type_name)
    line = _line(graph, expression, sources) if room == "application" and len(draft.ids) == 1 else None
    return ChainNode(
        id=number,
        label=label,
        room=room,
        objects=len(draft.ids),
        retained_bytes=retained,
        path=expression,
        file=line.file if line else None,
        line=line.line if line else None,
        examples=tuple(graph.preview(int(each)) for each in draft.ids[:3]),
    )


def _line(graph: HeapGraph, expression: str, sources: pd.DataFrame | None) -> places.Line | None:
    return places.lines_of(graph, expression, "module-variable", (), sources)[0]
