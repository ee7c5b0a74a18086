"""Waste: bytes that carry nothing, by kind, each with what could be had back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

_POINTER = 8
_GROWABLE = ("list", "dict", "set", "collections.deque", "collections.OrderedDict", "collections.defaultdict")
_VALUES = ("str", "bytes")
#: A container that uses a quarter of its room or less is sparse; else it is over-allocated.
_SPARSE = 4
_GROUPS_NAMED = 10


@dataclass(frozen=True)
class WasteRow:
    """One kind of waste: how many objects, the bytes to be had, and the worst of it in words.

    ``kind`` is "equal values", "repeated keys", "empty containers", "sparse containers" or "over-allocated".
    """

    kind: str
    objects: int
    bytes: int
    detail: str
    examples: tuple[int, ...]


@dataclass(frozen=True)
class Waste:
    """All kinds of waste in one snapshot, most bytes first; no byte counts twice."""

    rows: tuple[WasteRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[WasteRow]:
        return iter(self.rows)

    def __repr__(self) -> str:
        from .show import waste_text

        return waste_text(self)

    def _repr_html_(self) -> str:
        from .show import waste_html

        return waste_html(self)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each kind: kind, objects, bytes, detail, examples."""
        import pandas as pd

        columns = ["kind", "objects", "bytes", "detail", "examples"]
        return pd.DataFrame(
            [(r.kind, r.objects, r.bytes, r.detail, r.examples) for r in self.rows], columns=columns
        )


def waste(graph: HeapGraph) -> Waste:
    """Look for it among what is alive."""
    rows = [*_equal_values(graph), *_room(graph)]
    rows.sort(key=lambda row: -row.bytes)
    return Waste(tuple(row for row in rows if row.bytes))


def _equal_values(graph: HeapGraph) -> list[WasteRow]:
    """Equal strings and bytes kept many times: all but one of each could go. Masked values compare by their hash."""
    names = graph.type_names.to_pylist()
    wanted = np.array([name in _VALUES for name in names] or [False])
    objects = np.flatnonzero(wanted[graph.types] & (graph.value_hashes != 0) & graph.reachable())
    if not len(objects):
        return []
    is_key = np.zeros(len(graph), bool)
    keys = graph.labels[graph.kinds == EdgeKind.KEY]
    is_key[keys[keys >= 0]] = True
    rows = []
    for kind, chosen in (
        ("repeated keys", objects[is_key[objects]]),
        ("equal values", objects[~is_key[objects]]),
    ):
        if not len(chosen):
            continue
        hashes = graph.value_hashes[chosen]
        _, first, inverse, counts = np.unique(
            hashes, return_index=True, return_inverse=True, return_counts=True
        )
        sizes = np.bincount(inverse, graph.shallow_sizes[chosen]).astype(np.int64)
        spare = sizes - graph.shallow_sizes[chosen[first]]
        worst = np.argsort(-spare, kind="stable")[:_GROUPS_NAMED]
        worst = worst[counts[worst] > 1]
        if not len(worst):
            continue
        example = int(chosen[first[worst[0]]])
        detail = f"{graph.preview(example)} {int(counts[worst[0]]):,} times"
        copies = int(counts[counts > 1].sum() - (counts > 1).sum())
        rows.append(WasteRow(kind, copies, int(spare.sum()), detail, tuple(chosen[first[worst]].tolist())))
    return rows


def _room(graph: HeapGraph) -> list[WasteRow]:
    """Containers that are empty, or have room for many more elements than they hold."""
    names = graph.type_names.to_pylist()
    growable = np.array([name in _GROWABLE for name in names] or [False])
    lists = np.array([name == "list" for name in names] or [False])
    objects = np.flatnonzero(growable[graph.types] & graph.reachable() & ~graph.namespace_mask())
    lengths = graph.lengths[objects]
    capacities = graph.capacities[objects].astype(np.int64)
    sizes = graph.shallow_sizes[objects]
    spare = np.maximum(capacities - lengths, 0)
    # A dict pays its size over all its entries, a list only a pointer for each.
    each = np.where(lists[graph.types[objects]], _POINTER, sizes // np.maximum(capacities, 1))
    empty = lengths == 0
    sparse = ~empty & (lengths * _SPARSE <= capacities)
    roomy = ~empty & ~sparse & (spare > 0)
    return [
        _row(graph, kind, objects[mask], amounts[mask])
        for kind, mask, amounts in (
            ("empty containers", empty, sizes),
            ("sparse containers", sparse, spare * each),
            ("over-allocated", roomy, spare * each),
        )
        if mask.any()
    ]


def _row(graph: HeapGraph, kind: str, objects: np.ndarray, amounts: np.ndarray) -> WasteRow:
    worst = objects[np.argsort(-amounts, kind="stable")[:_GROUPS_NAMED]]
    types, counts = np.unique(graph.types[objects], return_counts=True)
    most = graph.type_names[int(types[np.argmax(counts)])].as_py()
    return WasteRow(kind, len(objects), int(amounts.sum()), f"mostly {most}", tuple(worst.tolist()))
