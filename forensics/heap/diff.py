"""Diff of two or more snapshots: what each holder did, and what its new elements are.

Addresses are reused, so an address alone joins nothing: a holder is the same one where its path and its type are,
and an element is the same one where its address, its type and its key are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind
from forensics.errors import GraphError
from forensics.findings import GrowthShape

from .find import find
from .graph import HeapGraph
from .holders import Holder
from .path import Place
from .paths import nearest_path
from .population import elements_of
from .series import shape_of, slope

if TYPE_CHECKING:
    import pandas as pd

_MIN_SHARE = 0.002
_MOST = 100
#: Containers below the share of a holder are looked at when they grew by so much.
_GREW_BYTES = 65_536
_GREW_LOOKED_AT = 50


@dataclass(frozen=True)
class HolderSeries:
    """One holder over all snapshots.

    Attributes
    ----------
    path, retainer : as in ``Holder``
    elements, bytes : one for each snapshot; 0 where it was not there
    shape, confidence : what it did; the confidence grows with the number of snapshots it rests on
    element_shape : what most elements look like in the last snapshot that has it
    new_elements : elements of the last snapshot that the first does not have
    new_element_types : (shape, count) of those, most first
    objects : the container in each snapshot, -1 where it was not there
    bytes_per_second, elements_per_second : None without the times of the snapshots
    also_held_by : paths of co-holders in the last snapshot that has it
    """

    path: str
    retainer: Place
    elements: tuple[int, ...]
    bytes: tuple[int, ...]
    shape: GrowthShape
    confidence: float
    element_shape: str
    new_elements: int
    new_element_types: tuple[tuple[str, int], ...]
    objects: tuple[int, ...]
    bytes_per_second: float | None
    elements_per_second: float | None
    also_held_by: tuple[str, ...] = ()

    @property
    def grown_bytes(self) -> int:
        """Bytes from the first to the last snapshot."""
        return self.bytes[-1] - self.bytes[0]

    @property
    def rests_on(self) -> int:
        """Snapshots that have this holder."""
        return sum(i >= 0 for i in self.objects)


@dataclass(frozen=True)
class TypeSeries:
    """The objects of one type over all snapshots."""

    name: str
    objects: tuple[int, ...]
    bytes: tuple[int, ...]


@dataclass(frozen=True)
class HeapDiff:
    """What changed: holders that grow first, then by what they hold in the end."""

    snapshots: int
    times: tuple[float, ...] | None
    holders: tuple[HolderSeries, ...]
    types: tuple[TypeSeries, ...] = field(default=(), repr=False)

    @property
    def growing(self) -> tuple[HolderSeries, ...]:
        """The holders that grow."""
        return tuple(series for series in self.holders if series.shape == "growing")

    def __repr__(self) -> str:
        from .show import diff_text

        return diff_text(self)

    def _repr_html_(self) -> str:
        from .show import diff_html

        return diff_html(self)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each holder: path, retainer, kind, shape, confidence, elements, bytes, grown_bytes, …"""
        import pandas as pd

        rows = [
            {
                "path": s.path,
                "retainer": s.retainer.path,
                "kind": s.retainer.kind,
                "shape": s.shape,
                "confidence": s.confidence,
                "elements": s.elements,
                "bytes": s.bytes,
                "grown_bytes": s.grown_bytes,
                "bytes_per_second": s.bytes_per_second,
                "new_elements": s.new_elements,
                "element_shape": s.element_shape,
            }
            for s in self.holders
        ]
        return pd.DataFrame(rows)


def diff(graphs: Sequence[HeapGraph], times: Sequence[float] | None = None) -> HeapDiff:
    """Compare snapshots of one process, in the order of their time.

    ``times`` (seconds) default to those in the graphs' ``meta``.

    Raises
    ------
    GraphError : fewer than two snapshots, or not as many times as snapshots.
    """
    if len(graphs) < 2:
        raise GraphError(
            f"A diff needs two snapshots or more; there is {len(graphs)}.",
            advice="Take the capture with --snapshots 3, for example.",
            snapshots=len(graphs),
        )
    if times is None and all("time" in graph.meta for graph in graphs):
        times = [float(graph.meta["time"]) for graph in graphs]
    if times is not None and len(times) != len(graphs):
        raise GraphError(
            f"There are {len(times)} times for {len(graphs)} snapshots.",
            advice="Give one time in seconds for each snapshot.",
            times=len(times),
            snapshots=len(graphs),
        )
    found = []
    for graph in graphs:
        for other in graphs:
            if other is not graph:
                other.forget()  # several snapshots are not to take several times the memory
        found.append({h.path: h for h in graph.holders(_MOST, _MIN_SHARE)})
    paths = dict.fromkeys(path for holders in reversed(found) for path in holders)
    for path, holder in _grown(graphs[0], graphs[-1], paths):
        paths.setdefault(path, None)
        found[-1].setdefault(path, holder)
    for graph in graphs:
        graph.release_pages()  # from here on few are looked at
    series = [_series(graphs, times, [holders.get(path) for holders in found]) for path in paths]
    series.sort(key=lambda s: (s.shape != "growing", -max(s.grown_bytes, 0), -s.bytes[-1], s.path))
    return HeapDiff(len(graphs), None if times is None else tuple(times), tuple(series), _types(graphs))


def _series(
    graphs: Sequence[HeapGraph], times: Sequence[float] | None, known: list[Holder | None]
) -> HolderSeries:
    model = next(holder for holder in reversed(known) if holder is not None)
    elements, sizes, objects = [], [], []
    for graph, holder in zip(graphs, known, strict=True):
        there = holder or _locate(graphs, known, graph, model)
        elements.append(there.element_count if there else 0)
        sizes.append(there.retained_bytes if there else 0)
        objects.append(there.object if there else -1)
    last = max(k for k, i in enumerate(objects) if i >= 0)
    first = objects[0]
    new, types = _new_elements(graphs[0], first, graphs[last], objects[last]) if last else (0, ())
    shape, confidence = shape_of(elements if len(set(elements)) > 1 else sizes)
    return HolderSeries(
        model.path,
        model.retainer,
        tuple(elements),
        tuple(sizes),
        shape,
        confidence,
        model.element_shape,
        new,
        types,
        tuple(objects),
        slope(sizes, times),
        slope(elements, times),
        model.also_held_by,
    )


def _locate(
    graphs: Sequence[HeapGraph], known: list[Holder | None], graph: HeapGraph, model: Holder
) -> Holder | None:
    """The same container in a snapshot where it is no holder: by its path, or by address, type and path."""
    at = next(k for k, holder in enumerate(known) if holder is model)
    origin = graphs[at]
    wanted = origin.type_name(model.object)
    i = -1
    try:
        i = find(graph, model.path)
    except GraphError:
        same = graph.objects_at(int(origin.addresses[model.object]))
        for candidate in same.tolist():
            if nearest_path(graph, candidate, holder=True).expression == model.path:
                i = candidate
    if i < 0 or graph.type_name(i) != wanted:
        return None
    set_ = [i]
    for path in model.also_held_by:
        try:
            set_.append(find(graph, path))
        except GraphError:
            continue
    return Holder(
        i, model.path, model.retainer, int(graph.populations()[i]), model.element_shape,
        graph.retained_size_of(set_), 0.0,
    )  # fmt: skip


def _grown(first: HeapGraph, last: HeapGraph, known: dict[str, None]) -> list[tuple[str, Holder]]:
    """Containers too small for a holder that gained elements and bytes between two snapshots."""
    # What gained so much has so much: few of millions.
    after = np.flatnonzero((last.populations() > 0) & (last.retained_sizes() >= _GREW_BYTES))
    if not len(after):
        return []
    after = after[np.argsort(last.addresses[after])]
    wanted = last.addresses[after]
    places = np.minimum(np.searchsorted(wanted, first.addresses), len(wanted) - 1)
    before = np.flatnonzero((wanted[places] == first.addresses) & (first.populations() > 0))
    first.release_pages()  # all its addresses were read, and few are again
    after = after[places[before]]
    same = _type_numbers(first, last)[first.types[before]] == last.types[after]
    before, after = before[same], after[same]
    more = last.populations()[after] > first.populations()[before]
    gained = last.retained_sizes()[after] - first.retained_sizes()[before]
    chosen = np.flatnonzero(more & (gained >= _GREW_BYTES))
    found = []
    for k in chosen[np.argsort(-gained[chosen], kind="stable")][:_GREW_LOOKED_AT].tolist():
        path = nearest_path(last, int(after[k]), holder=True)
        if path.expression in known or nearest_path(first, int(before[k])).expression != path.expression:
            continue
        elements = elements_of(last, int(after[k]))
        ids, counts = np.unique(last.shapes().ids[elements], return_counts=True)
        shape = last.shapes().name(int(ids[np.argmax(counts)])) if len(ids) else ""
        size = int(last.retained_sizes()[after[k]])
        count = int(last.populations()[after[k]])
        found.append(
            (path.expression, Holder(int(after[k]), path.expression, path.retainer, count, shape, size, 0.0))
        )
    return found


def _new_elements(
    before: HeapGraph, first: int, after: HeapGraph, last: int
) -> tuple[int, tuple[tuple[str, int], ...]]:
    """How many elements of ``last`` were not in ``first`` (-1: none were), and what they look like."""
    new = elements_of(after, last)
    if first >= 0 and len(new):
        new = new[~np.isin(_identities(after, last, after), _identities(before, first, after))]
    if not len(new):
        return 0, ()
    ids, counts = np.unique(after.shapes().ids[new], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    return len(new), tuple((after.shapes().name(int(ids[k])), int(counts[k])) for k in order)


def _identities(graph: HeapGraph, i: int, types_of: HeapGraph) -> np.ndarray:
    """uint64: address, type and key of each element, mixed into one number."""
    elements = elements_of(graph, i)
    begin, end = int(graph.offsets[i]), int(graph.offsets[i + 1])
    keyed = graph.kinds[begin:end] == EdgeKind.KEY
    types = _type_numbers(graph, types_of)[graph.types[elements]].astype(np.uint64)
    mixed = graph.addresses[elements] * np.uint64(0x9E3779B97F4A7C15) ^ types << np.uint64(40)
    if keyed.sum() == len(elements):
        keys = graph.labels[begin:end][keyed]
        hashes = np.where(keys >= 0, graph.value_hashes[np.maximum(keys, 0)], 0).astype(np.uint64)
        mixed ^= hashes * np.uint64(0xBF58476D1CE4E5B9)
    return mixed


def _type_numbers(graph: HeapGraph, other: HeapGraph) -> np.ndarray:
    """int64: by type of ``graph`` the number of the type of the same name in ``other``, -1 where it has none."""
    names = {name: k for k, name in enumerate(other.type_names.to_pylist())}
    return np.array([names.get(name, -1) for name in graph.type_names.to_pylist()], np.int64)


def _types(graphs: Sequence[HeapGraph]) -> tuple[TypeSeries, ...]:
    """Every type that any snapshot has, by the bytes it gained."""
    names: dict[str, tuple[list[int], list[int]]] = {}
    for graph in graphs:
        graph.release_pages()  # the series went through most of them
    for k, graph in enumerate(graphs):
        counts = np.bincount(graph.types, minlength=len(graph.type_names))
        sizes = np.bincount(graph.types, graph.shallow_sizes, minlength=len(graph.type_names))
        for number, name in enumerate(graph.type_names.to_pylist()):
            entry = names.setdefault(name, ([0] * len(graphs), [0] * len(graphs)))
            entry[0][k] += int(counts[number])
            entry[1][k] += int(sizes[number])
        graph.release_pages()
    rows = [TypeSeries(name, tuple(c), tuple(s)) for name, (c, s) in names.items() if any(c)]
    return tuple(sorted(rows, key=lambda row: (-(row.bytes[-1] - row.bytes[0]), row.name)))
