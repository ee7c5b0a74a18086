"""PathTree: the paths of many objects laid over one another, with how many and how many bytes go through each part.

As Eclipse MAT's merged shortest paths: elements of one container that look alike are one branch, so ten thousand
responses under one dict are ``RESPONSES[*]``, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from forensics.agent.stream import EdgeKind

from . import checks
from .compiled import compiled, frozen
from .edge import edge_at
from .expression import subscript

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

_CONTAINED = (int(EdgeKind.KEY), int(EdgeKind.ITEM), int(EdgeKind.MEMBER))
_DEEPEST = 48
_BRANCHES = 40
#: Plumbing: what is below such a part is shown in its place.
_FOLDED = (".__dict__", ".cell_contents", "sys.modules")
#: A dict with at most so many keys is a record, even where no other has the same.
_RECORD = 8


@dataclass(frozen=True)
class PathTree:
    """A part of the merged paths.

    Attributes
    ----------
    label : how it is referred to from the part above; ``[*]`` for elements of a container laid together
    type_name : the type of most objects that stand here
    standing : how many objects stand here
    objects, shallow_bytes : how many of the objects asked for are here or below, and their bytes
    example : one of the objects that stand here, -1 at the top
    children : the parts below, most objects first
    """

    label: str
    type_name: str
    standing: int
    objects: int
    shallow_bytes: int
    example: int
    children: tuple[PathTree, ...] = field(default=(), repr=False)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, PathTree]]:
        """(depth, part) from the top down."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)

    def __str__(self) -> str:
        from .show import path_tree_text

        return path_tree_text(self)

    def _repr_html_(self) -> str:
        from .show import path_tree_html

        return path_tree_html(self)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each part: depth, label, type, standing, objects, shallow_bytes, example."""
        import pandas as pd

        columns = ["depth", "label", "type", "standing", "objects", "shallow_bytes", "example"]
        rows = [
            (depth, p.label, p.type_name, p.standing, p.objects, p.shallow_bytes, p.example)
            for depth, p in self.walk()
        ]
        return pd.DataFrame(rows, columns=columns)


def merged_paths(graph: HeapGraph, ids: Any) -> PathTree:
    """The nearest paths of these objects as one tree.

    Raises
    ------
    GraphError : an object that is not there.
    """
    wanted = np.unique(checks.object_ids(graph, ids))
    nearest = graph.nearest()
    wanted = wanted[nearest.cost[wanted] >= 0]
    counts, sizes, members = _gather(nearest.parent, nearest.cost, frozen(wanted), graph.shallow_sizes)
    counts, sizes = frozen(counts), frozen(sizes)
    tops = members[nearest.parent[members] < 0]
    parent_of = nearest.parent[members]
    order = np.argsort(parent_of, kind="stable")
    level = _Level(graph, members[order], parent_of[order], counts, sizes)
    children = level.parts(tops, 0)
    return PathTree("roots", "", len(tops), len(wanted), int(graph.shallow_sizes[wanted].sum()), -1, children)


@dataclass
class _Level:
    graph: HeapGraph
    members: np.ndarray
    parents: np.ndarray
    counts: np.ndarray
    sizes: np.ndarray

    def parts(self, objects: np.ndarray, depth: int) -> tuple[PathTree, ...]:
        """``objects``, put together by how they are referred to and what they look like."""
        if not len(objects) or depth == _DEEPEST:
            return ()
        patterns = self._patterns(objects)
        _, first, inverse = np.unique(patterns, axis=0, return_index=True, return_inverse=True)
        inverse = inverse.reshape(-1)
        weights = np.bincount(inverse, self.counts[objects])
        parts: list[PathTree] = []
        for group in np.argsort(-weights, kind="stable")[:_BRANCHES].tolist():
            here = objects[inverse == group]
            part = self._part(here, int(objects[first[group]]), depth)
            parts.extend(part.children if part.label in _FOLDED else (part,))
        return tuple(parts)

    def _part(self, here: np.ndarray, example: int, depth: int) -> PathTree:
        begin = np.searchsorted(self.parents, here, side="left")
        end = np.searchsorted(self.parents, here, side="right")
        below = self.members[_ranges(begin, end)]
        return PathTree(
            self._label(example, len(here)),
            self.graph.type_name(example),
            len(here),
            int(self.counts[here].sum()),
            int(self.sizes[here].sum()),
            example,
            self.parts(below, depth + 1),
        )

    def _patterns(self, objects: np.ndarray) -> np.ndarray:
        """int64[o, 3]: kind of the reference, its name where it has one of its own, shape of the object."""
        graph, nearest = self.graph, self.graph.nearest()
        edges = nearest.edge[objects]
        kinds = np.where(edges >= 0, graph.kinds[np.maximum(edges, 0)].astype(np.int64), -1)
        labels = np.where(
            edges >= 0, graph.labels[np.maximum(edges, 0)].astype(np.int64), nearest.root[objects]
        )
        parents = np.maximum(nearest.parent[objects], 0)
        elements = np.isin(kinds, _CONTAINED)
        keyed = (kinds == EdgeKind.KEY) & (labels >= 0)
        record = keyed & self._are_records(parents)
        labels[record] = graph.texts[labels[record]]
        labels[elements & ~(record & (labels >= 0))] = -1
        return np.stack([kinds, labels, graph.shapes().ids[objects].astype(np.int64)], axis=1)

    def _label(self, example: int, standing: int) -> str:
        graph, nearest = self.graph, self.graph.nearest()
        e = int(nearest.edge[example])
        if e < 0:
            name = int(graph.root_names[nearest.root[example]])
            return str(graph.strings[name].as_py()) if name >= 0 else graph.type_name(example)
        edge = edge_at(graph, e, int(nearest.parent[example]))
        if edge.source in graph.modules().namespaces or edge.source == graph.modules().table:
            return edge.label_text
        if int(edge.kind) in _CONTAINED:
            if standing > 1 and not (
                edge.kind is EdgeKind.KEY and self._are_records(np.array([edge.source]))[0]
            ):
                return "[*]"
            return subscript(graph, edge)
        return f".{edge.label_text}" if edge.label_text else f"({edge.kind.name.lower()})"

    def _are_records(self, objects: np.ndarray) -> np.ndarray:
        """Where each key is a branch of its own: namespaces, dicts with the same keys as others, small dicts."""
        graph = self.graph
        alike = graph.shapes().ids[objects] >= len(graph.type_names)
        return alike | graph.namespace_mask()[objects] | (graph.populations()[objects] <= _RECORD)


def _ranges(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The numbers of all the ranges begin[k]…end[k], one after the other."""
    lengths = end - begin
    total = int(lengths.sum())
    if not total:
        return np.empty(0, np.int64)
    starts = np.repeat(begin - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    return starts + np.arange(total)


@compiled
def _gather(parent, cost, wanted, sizes):
    """int64[n], int64[n], int32: objects and bytes asked for at or below each object, and every object on a way."""
    n = parent.size
    on_way = np.zeros(n, np.bool_)
    counts = np.zeros(n, np.int64)
    amounts = np.zeros(n, np.int64)
    members = np.empty(n, np.int32)
    waiting = np.zeros(n, np.int32)
    found = 0
    for w in wanted:
        counts[w] += 1
        amounts[w] += sizes[w]
        at = w
        while at >= 0 and not on_way[at]:
            on_way[at] = True
            members[found] = at
            found += 1
            if parent[at] >= 0:
                waiting[parent[at]] += 1
            at = parent[at]
    # From the leaves up: an object passes its sums on once all below it have done so.
    stack = np.empty(found, np.int32)
    top = 0
    for k in range(found):
        if waiting[members[k]] == 0:
            stack[top] = members[k]
            top += 1
    while top:
        top -= 1
        i = stack[top]
        above = parent[i]
        if above >= 0:
            counts[above] += counts[i]
            amounts[above] += amounts[i]
            waiting[above] -= 1
            if waiting[above] == 0:
                stack[top] = above
                top += 1
    return counts, amounts, members[:found].copy()
