"""Census: how many objects of each type or shape, and how many bytes they take and hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from forensics.errors import GraphError

from .compiled import compiled, frozen

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

_EXAMPLES = 3


@dataclass(frozen=True)
class CensusRow:
    """The objects of one type or shape.

    ``retained_bytes`` are what would go if all of them went: what is held through several of them, one inside
    the other, counts once; what they share with objects of other kinds does not count. ``examples`` are the
    objects that retain most.
    """

    name: str
    objects: int
    shallow_bytes: int
    retained_bytes: int
    examples: tuple[int, ...]


@dataclass(frozen=True)
class Census:
    """The census of one snapshot, most shallow bytes first; what is garbage is counted too."""

    by: str
    rows: tuple[CensusRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[CensusRow]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> CensusRow:
        return self.rows[index]

    def __repr__(self) -> str:
        from .show import census_text

        return census_text(self)

    def _repr_html_(self) -> str:
        from .show import census_html

        return census_html(self)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each type or shape: name, objects, shallow_bytes, retained_bytes, examples."""
        import pandas as pd

        columns = ["name", "objects", "shallow_bytes", "retained_bytes", "examples"]
        rows = [(r.name, r.objects, r.shallow_bytes, r.retained_bytes, r.examples) for r in self.rows]
        return pd.DataFrame(rows, columns=columns)


def census(graph: HeapGraph, by: Literal["type", "shape"] = "type") -> Census:
    """Count every object once.

    Raises
    ------
    GraphError : ``by`` is neither "type" nor "shape".
    """
    if by not in ("type", "shape"):
        raise GraphError(
            f"A census cannot be taken by {by!r}.", advice='Take it by "type" or by "shape".', by=by
        )
    if by == "type":
        ids, size = graph.types, len(graph.type_names)
    else:
        ids, size = graph.shapes().ids, len(graph.shapes())
    tree = graph.dominator_tree()
    counts, shallow, retained, largest = _count(
        frozen(ids), graph.shallow_sizes, tree.order, *tree.rows(), tree.retained_sizes, size
    )
    rows = []
    for kind in np.flatnonzero(counts).tolist():
        name = str(graph.type_names[kind].as_py()) if by == "type" else graph.shapes().name(kind)
        examples = tuple(int(i) for i in largest[kind] if i >= 0)
        rows.append(CensusRow(name, int(counts[kind]), int(shallow[kind]), int(retained[kind]), examples))
    rows.sort(key=lambda row: (-row.shallow_bytes, row.name))
    return Census(by, tuple(rows))


@compiled
def _count(ids, sizes, order, starts, children, retained_sizes, size):
    """Objects, shallow and retained bytes by kind; and for each kind the objects that retain most, int32[k, 3].

    Retained bytes of a kind are those of its members that no other member dominates: the dominator tree is walked
    depth first, and ``within`` counts how many objects of each kind are above.
    """
    n = ids.size
    counts = np.zeros(size, np.int64)
    shallow = np.zeros(size, np.int64)
    retained = np.zeros(size, np.int64)
    largest = np.full((size, _EXAMPLES), -1, np.int32)
    for i in range(n):
        counts[ids[i]] += 1
        shallow[ids[i]] += sizes[i]
    within = np.zeros(size, np.int32)
    stack = np.empty(order.size + 1, np.int32)
    cursor = np.empty(order.size + 1, np.int64)
    stack[0] = n
    cursor[0] = starts[n]
    depth = 0
    while depth >= 0:
        i = stack[depth]
        if cursor[depth] == starts[i + 1]:
            if depth:
                within[ids[i]] -= 1
            depth -= 1
            continue
        i = children[cursor[depth]]
        cursor[depth] += 1
        kind = ids[i]
        if within[kind] == 0:
            retained[kind] += retained_sizes[i]
            _insert(largest[kind], i, retained_sizes)
        within[kind] += 1
        depth += 1
        stack[depth] = i
        cursor[depth] = starts[i]
    return counts, shallow, retained, largest


@compiled
def _insert(row, i, retained_sizes):
    """Keep the objects that retain most, the largest first."""
    for k in range(row.size):
        if row[k] < 0:
            row[k] = i
            return
        if retained_sizes[i] > retained_sizes[row[k]]:
            row[k], i = i, row[k]
