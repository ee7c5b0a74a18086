"""What if: references that are cut in thought, the bytes that would go, and what still holds the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind
from forensics.errors import GraphError

from . import checks
from .edge import Edge
from .names import slot_target
from .path import Path, Place

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

#: A cut: a reference, a path to the object that is to be let go, or (source, target).
Cut = Edge | Path | tuple[int, int] | str
#: Objects at the border of what goes that are looked at, and variables that are named.
_LOOKED_AT, _NAMED = 64, 5
#: What stays is worth a word from this part of what goes.
_WORTH = 0.01


@dataclass(frozen=True)
class StillHeld:
    """A variable that keeps what the cut would have let go: the bytes that would go with it too, and one path."""

    retainer: Place
    bytes: int
    path: Path


@dataclass(frozen=True)
class WhatIf:
    """What cutting some references would free."""

    cuts: tuple[str, ...]
    freed_bytes: int
    freed_objects: int
    still_held: tuple[StillHeld, ...]

    def __repr__(self) -> str:
        from .show import what_if_text

        return what_if_text(self)

    def _repr_html_(self) -> str:
        from .show import what_if_html

        return what_if_html(self)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each variable that still holds something: retainer, kind, bytes, path."""
        import pandas as pd

        columns = ["retainer", "kind", "bytes", "path"]
        rows = [(h.retainer.path, h.retainer.kind, h.bytes, h.path.expression) for h in self.still_held]
        return pd.DataFrame(rows, columns=columns)


def what_if(graph: HeapGraph, cuts: Cut | Iterable[Cut]) -> WhatIf:
    """Cut references and see what goes.

    Cutting an attribute cuts it in the instance and in its ``__dict__``: they are one reference to the program.

    Raises
    ------
    GraphError : an object that is not there, or one that does not refer to the other.
    """
    chosen: list[Cut] = [cuts] if _is_one(cuts) else list(cuts)  # type: ignore[list-item, arg-type]
    references: list[int] = []
    names, targets = [], []
    for cut in chosen:
        source, target, name = _ends(graph, cut)
        found = _all_references(graph, source, target)
        if not len(found):
            raise GraphError(
                f"Object {source:,} ({graph.preview(source)}) does not refer to object {target:,} "
                f"({graph.preview(target)}).",
                advice="graph.edges_of(source) lists what it refers to.",
                source=source,
                target=target,
            )
        references.extend(found.tolist())
        names.append(name)
        targets.append(target)
    alive = graph.alive_without(references=references)
    gone = graph.reachable() & ~alive
    held = _still_held(graph, targets, references, alive, gone)
    return WhatIf(tuple(names), int(graph.shallow_sizes[gone].sum()), int(gone.sum()), held)


def _is_one(cuts: object) -> bool:
    if isinstance(cuts, Edge | Path | str):
        return True
    return isinstance(cuts, tuple) and len(cuts) == 2 and all(isinstance(c, int | np.integer) for c in cuts)


def _ends(graph: HeapGraph, cut: Cut) -> tuple[int, int, str]:
    if isinstance(cut, str):
        from .find import find_path

        objects = find_path(graph, cut)
        return objects[-2], objects[-1], cut
    if isinstance(cut, Path):
        if len(cut.objects) < 2:
            raise GraphError(
                f"{cut.expression} is a root itself: there is no reference to cut.",
                advice="Cut a reference to something below it.",
                object=cut.object,
            )
        return int(cut.objects[-2]), int(cut.objects[-1]), cut.expression
    if isinstance(cut, Edge):
        source, target = cut.source, cut.target
    else:
        source, target = (checks.object_id(graph, end) for end in cut)
    return source, target, f"{graph.preview(source)} → {graph.preview(target)}"


def _all_references(graph: HeapGraph, source: int, target: int) -> np.ndarray:
    found = [graph.references_between(source, target)]
    namespace = slot_target(graph, source, "__dict__")
    if namespace >= 0:
        found.append(graph.references_between(namespace, target))
    for referrer in np.unique(graph.incoming().of(source)).tolist():
        if slot_target(graph, referrer, "__dict__") == source:
            found.append(graph.references_between(referrer, target))
    every = np.concatenate(found)
    return every[graph.kinds[every] != EdgeKind.WEAK]


def _still_held(
    graph: HeapGraph, targets: list[int], references: list[int], alive: np.ndarray, gone: np.ndarray
) -> tuple[StillHeld, ...]:
    """What keeps the objects that were cut loose, or what those that go refer to, alive."""
    edges = np.flatnonzero(gone[np.repeat(np.arange(len(graph)), np.diff(graph.offsets))])
    edges = edges[graph.is_strong(edges)]
    border = graph.targets[edges]
    border = np.unique(
        np.concatenate([border[alive[border]], [t for t in targets if alive[t]]]).astype(np.int32)
    )
    retained = graph.retained_sizes()[border]
    if retained.sum() < _WORTH * graph.shallow_sizes[gone].sum():
        return ()  # nothing but shared words: keys, small constants
    border = border[np.argsort(-retained, kind="stable")][:_LOOKED_AT]
    cut = set(references)
    places: dict[str, Path] = {}
    for i in border.tolist():
        for path in graph.paths_to_roots(i, 5):
            # What goes is no longer on the way to anything; nor is a reference that was cut.
            if cut.isdisjoint(path.references.tolist()) and alive[path.objects].all():
                places.setdefault(path.retainer.path, path)
                break
        if len(places) == _NAMED:
            break
    found = []
    for path in places.values():
        without = graph.alive_without([path.retainer.object], references)
        held = int(graph.shallow_sizes[alive & ~without].sum())
        found.append(StillHeld(path.retainer, held, path))
    return tuple(sorted(found, key=lambda held: -held.bytes))
