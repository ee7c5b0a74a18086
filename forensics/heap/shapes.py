"""Shapes: what objects look like inside; dicts with the same keys are of one shape, all others of their type's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind

from .compiled import compiled, frozen
from .edge import key_text

if TYPE_CHECKING:
    from .graph import HeapGraph

_KEY = int(EdgeKind.KEY)
#: A dict with more keys is a table, not a record: its keys say nothing about what it is.
_MOST_KEYS = 64
_KEYS_NAMED = 12


@dataclass(frozen=True, eq=False)
class Shapes:
    """The shape of every object.

    Attributes
    ----------
    ids : int32[n], read-only; below the number of types it is the object's type, from there on one of dicts
        with the same keys, of which there are two at least
    examples : int32, one dict for each shape of dicts
    """

    ids: np.ndarray
    examples: np.ndarray
    _graph: HeapGraph
    _names: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: HeapGraph) -> Shapes:
        """Look at every key once."""
        hashes = _key_set_hashes(
            graph.offsets,
            frozen(graph.kinds),
            frozen(graph.labels),
            frozen(graph.types),
            frozen(graph.texts),
            frozen(graph.value_hashes),
            frozen(graph.namespace_mask()),
        )
        ids = np.array(graph.types, np.int32)
        records = np.flatnonzero(hashes)
        _, first, inverse, counts = np.unique(
            hashes[records], return_index=True, return_inverse=True, return_counts=True
        )
        kept = np.flatnonzero(counts > 1)
        number = np.full(len(counts), -1, np.int32)
        number[kept] = len(graph.type_names) + np.arange(len(kept), dtype=np.int32)
        shaped = number[inverse] >= 0
        ids[records[shaped]] = number[inverse][shaped]
        return cls(frozen(ids), records[first[kept]].astype(np.int32), graph)

    def __len__(self) -> int:
        return len(self._graph.type_names) + len(self.examples)

    def name(self, shape: int) -> str:
        """``dict{Items, Count, …}``, or the name of the type."""
        if shape not in self._names:
            self._names[shape] = self._name(shape)
        return self._names[shape]

    def names(self) -> list[str]:
        """All of them, by id."""
        return [self.name(shape) for shape in range(len(self))]

    def _name(self, shape: int) -> str:
        graph, types = self._graph, len(self._graph.type_names)
        if shape < types:
            return str(graph.type_names[shape].as_py())
        example = int(self.examples[shape - types])
        keys = []
        for edge in graph.edges_of(example):
            if edge.kind is EdgeKind.KEY:
                keys.append(key_text(graph, edge.label) if edge.label >= 0 else "?")
        more = ", …" if len(keys) > _KEYS_NAMED else ""
        return f"{graph.type_name(example)}{{{', '.join(keys[:_KEYS_NAMED])}{more}}}"


@compiled
def _mix(x):
    """The finaliser of splitmix64: neighbouring numbers land far apart."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled
def _key_set_hashes(offsets, kinds, labels, types, texts, value_hashes, namespaces):
    """uint64[n]: a hash of the type and the set of keys, in any order; 0 for what has no keys or is a table."""
    n = offsets.size - 1
    hashes = np.zeros(n, np.uint64)
    for i in range(n):
        if namespaces[i]:
            continue
        total = np.uint64(0)
        count = 0
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] != _KEY:
                continue
            count += 1
            if count > _MOST_KEYS:
                break
            key = labels[e]
            if key < 0:
                total += np.uint64(1)
            elif value_hashes[key]:
                total += _mix(value_hashes[key])
            else:
                total += _mix(np.uint64(texts[key] + 2) + (np.uint64(types[key]) << np.uint64(32)))
        if 0 < count <= _MOST_KEYS:
            hashes[i] = _mix(total + _mix(np.uint64(types[i]) + np.uint64(1))) | np.uint64(1)
    return hashes
