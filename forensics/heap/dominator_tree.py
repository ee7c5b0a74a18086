"""DominatorTree: for each object the last one on every way to it, and the bytes that go when it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .compiled import frozen
from .dominators import dominators, sum_up_tree, tree_children

if TYPE_CHECKING:
    from .graph import HeapGraph


@dataclass(frozen=True, eq=False)
class DominatorTree:
    """The dominator tree below a virtual root that refers to every root of the graph; arrays are read-only.

    Attributes
    ----------
    immediate : int32[n]; -1: dominated by the virtual root alone, -2: unreachable
    order : int32[c], the reachable objects, each after its dominator
    retained_sizes : int64[n], bytes; 0 where unreachable
    """

    immediate: np.ndarray
    order: np.ndarray
    retained_sizes: np.ndarray
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, graph: HeapGraph) -> DominatorTree:
        """Compute it: O(m log n) time, 32 bytes for each object and 4 for each reference while it runs."""
        immediate, order = map(
            frozen,
            dominators(
                graph.offsets, graph.targets, graph.strong_kinds(), graph.root_objects, graph.release_pages
            ),
        )
        return cls(immediate, order, frozen(sum_up_tree(order, immediate, graph.shallow_sizes)))

    def __repr__(self) -> str:
        return f"DominatorTree({len(self.order):,} reachable of {len(self.immediate):,} objects)"

    def children(self, i: int = -1) -> np.ndarray:
        """The objects that *i* (-1: the virtual root) immediately dominates; int32, a view."""
        starts, children = self.rows()
        row = i if i >= 0 else len(self.immediate)
        return children[starts[row] : starts[row + 1]]

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """int64[n + 2], int32[c]: children by object, compressed sparse rows; row n is the virtual root's."""
        if "rows" not in self._memo:
            self._memo["rows"] = tuple(map(frozen, tree_children(self.order, self.immediate)))
        return self._memo["rows"]

    def sum(self, values: np.ndarray) -> np.ndarray:
        """int64[n]: for each object the sum of ``values`` over all that it dominates, itself included."""
        return sum_up_tree(self.order, self.immediate, frozen(values.astype(np.int64, copy=False)))

    def chain(self, i: int, limit: int = 1000) -> list[int]:
        """The dominators of *i* from its immediate one outwards, at most ``limit``."""
        found: list[int] = []
        above = int(self.immediate[i])
        while above >= 0 and len(found) < limit:
            found.append(above)
            above = int(self.immediate[above])
        return found
