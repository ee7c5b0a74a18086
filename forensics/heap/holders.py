"""Holders: the containers whose population makes up the heap.

Every byte belongs to the deepest object that retains at least ``min_share`` of the heap and has not passed it on
to such an object below: these are the accumulation points (Eclipse MAT's walk down the largest children, taken for
all branches at once, so that a thousand small equal things under one dict show as well as one big thing). What an
accumulation point dominates without referring to it is shared by containers below it: those are co-holders, and
the bytes are those of the set. Accumulation points under one variable of the program are one holder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .compiled import frozen
from .javascript import V8_ROOTS, machinery
from .modules import INJECTED_AGENT
from .path import Path, Place
from .paths import nearest_path
from .population import carried, depths_in, elements_of, held_directly, largest_above, runs, shared_by

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

#: Chains of one type that are longer are linked lists.
_CHAIN = 100
#: The elements are further down where they are so many times more, and so many in each.
_DEEPER, _DEEPER_EACH = 10, 50


@dataclass(frozen=True)
class Holder:
    """A container that holds a good part of the heap.

    Attributes
    ----------
    object : the container
    path : its expression
    retainer : the program's own variable that it hangs on
    element_count, element_shape : how many elements, and what most of them look like
    retained_bytes : bytes that go with it; with co-holders, with all of them together
    share : of the bytes of the heap, 0…1
    also_held_by : paths of the other containers that share its elements
    objects : the containers of the set, this one first
    """

    object: int
    path: str
    retainer: Place
    element_count: int
    element_shape: str
    retained_bytes: int
    share: float
    also_held_by: tuple[str, ...] = ()
    objects: tuple[int, ...] = ()


@dataclass(frozen=True)
class Holders:
    """The holders of one snapshot, largest first."""

    holders: tuple[Holder, ...]
    total_bytes: int

    def __len__(self) -> int:
        return len(self.holders)

    def __iter__(self) -> Iterator[Holder]:
        return iter(self.holders)

    def __getitem__(self, index: int) -> Holder:
        return self.holders[index]

    def __repr__(self) -> str:
        from .show import holders_text

        return holders_text(self)

    def _repr_html_(self) -> str:
        from .show import holders_html

        return holders_html(self)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Holders:
        """The inverse of ``to_dict``."""
        found = [
            Holder(
                **{
                    **each,
                    "retainer": Place(**each["retainer"]),
                    "also_held_by": tuple(each["also_held_by"]),
                    "objects": tuple(each["objects"]),
                }
            )
            for each in record["holders"]
        ]
        return cls(tuple(found), record["total_bytes"])

    def to_pandas(self) -> pd.DataFrame:
        """One row for each holder: path, retainer, kind, elements, shape, retained_bytes, share, also_held_by."""
        import pandas as pd

        columns = (
            "path", "retainer", "kind", "elements", "shape", "retained_bytes", "share", "also_held_by", "object",
        )  # fmt: skip
        rows = [
            (
                h.path, h.retainer.path, h.retainer.kind, h.element_count, h.element_shape, h.retained_bytes,
                h.share, ", ".join(h.also_held_by), h.object,
            )
            for h in self
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(columns))


@dataclass
class _Candidate:
    """Containers found to hold something, before they are put together by the variable they hang on."""

    objects: tuple[int, ...]
    bytes: int
    elements: int
    sample: np.ndarray


_Member = tuple[_Candidate, list[Path]]


def holders(graph: HeapGraph, limit: int = 20, min_share: float = 0.01) -> Holders:
    """See the module; ``min_share`` of the heap's bytes is the least a holder retains."""
    total = int(graph.shallow_sizes.sum())
    if not total:
        return Holders((), 0)
    threshold = max(1, int(total * min_share))
    candidates = _candidates(graph, threshold)
    found = _by_variable(graph, candidates, total) + _garbage(graph, threshold, total)
    found = [holder for holder in found if holder.retained_bytes >= threshold]
    found.sort(key=lambda holder: (-holder.retained_bytes, holder.path))
    return Holders(tuple(found[:limit]), total)


# -- where bytes gather ----------------------------------------------------------------------------------------


def _candidates(graph: HeapGraph, threshold: int) -> list[_Candidate]:
    tree, population = graph.dominator_tree(), graph.populations()
    retained, dominator = tree.retained_sizes, tree.immediate
    bigs = tree.order[retained[tree.order] >= threshold]
    place = np.full(len(graph) + 1, -1, np.int32)
    place[bigs] = np.arange(len(bigs), dtype=np.int32)
    parents = place[dominator[bigs]]
    is_point, own, rest = carried(
        frozen(bigs), frozen(parents), frozen(retained[bigs]), threshold, graph.live_bytes()
    )
    points = bigs[is_point]
    marked = np.zeros(len(graph), bool)
    marked[points] = True
    heads, depths = runs(tree.order, dominator, frozen(graph.types))
    found, chains = [], {}
    for i, gathered in zip(points.tolist(), own[is_point].tolist(), strict=True):
        if depths[i] >= _CHAIN:
            chains[int(heads[i])] = i
        elif population[i]:
            elements = elements_of(graph, i)
            own_elements = elements[dominator[elements] == i]
            if len(own_elements) and retained[own_elements].sum() >= gathered // 2:
                found.append(_Candidate((i,), int(retained[i]), int(population[i]), elements))
        elif graph.shallow_sizes[i] * 2 >= retained[i]:
            found.append(_Candidate((i,), int(retained[i]), 0, np.array([i], np.int32)))
    for head in chains:
        members = np.flatnonzero(heads == head).astype(np.int32)
        found.append(_Candidate((head,), int(retained[head]), len(members), members))
    found.extend(_shared(graph, marked, bigs, threshold, rest))
    return found


def _shared(
    graph: HeapGraph, marked: np.ndarray, bigs: np.ndarray, threshold: int, rest: int
) -> list[_Candidate]:
    """What several containers hold together below one accumulation point, or below the virtual root.

    Big objects count too: ten large pages in two containers have a dominator that accumulates nothing itself.
    """
    incoming = graph.incoming()
    inside = (incoming.offsets, incoming.sources, incoming.edges, graph.strong_kinds())
    tree, population = graph.dominator_tree(), graph.populations()
    retained, dominator = tree.retained_sizes, tree.immediate
    floats = (dominator >= 0) & marked[dominator]
    if rest >= threshold:
        floats |= dominator == -1
    floats[bigs] = True
    roots = graph.root_objects
    floats[roots[dominator[roots] == -1]] = False
    borrowed = machinery(graph)
    floats[borrowed] = False
    floating = np.flatnonzero(floats).astype(np.int32)
    floating = floating[~held_directly(frozen(floating), dominator, *inside)]
    if not len(floating) or retained[floating].sum() < threshold:
        return []
    above = dominator[floating]
    marked[above[above >= 0]] = True
    largest, point = largest_above(tree.order, dominator, population, frozen(marked))
    layers = depths_in(tree.order, dominator, borrowed)
    keys = shared_by(
        frozen(floating), dominator, *inside, frozen(largest), frozen(point), population, frozen(layers)
    )
    held = keys[:, 0] >= 0
    floating, keys = floating[held], keys[held]
    if not len(floating):
        return []
    groups, inverse = np.unique(keys, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    sums = np.bincount(inverse, retained[floating]).astype(np.int64)
    found = []
    for group in np.flatnonzero(sums >= threshold).tolist():
        containers = tuple(int(c) for c in groups[group] if c >= 0)
        members = floating[inverse == group]
        size = int(graph.retained_size_of(containers)) if len(containers) > 1 else int(sums[group])
        found.append(_Candidate(containers, max(size, int(sums[group])), len(members), members))
    return found


# -- one holder for each variable ------------------------------------------------------------------------------


def _by_variable(graph: HeapGraph, candidates: list[_Candidate], total: int) -> list[Holder]:
    groups: dict[tuple[str, ...], list[_Member]] = {}
    for candidate in candidates:
        paths = [nearest_path(graph, i, holder=True) for i in candidate.objects]
        # What the capture itself brought in is no part of the service, and V8's list of its roots holds everything.
        paths = [
            path
            for path in paths
            if not path.retainer.path.startswith(INJECTED_AGENT) and path.expression != V8_ROOTS
        ]
        if not paths:
            continue
        paths.sort(key=_plainness)
        places = dict.fromkeys(path.retainer.path for path in paths)
        groups.setdefault(tuple(places), []).append((candidate, paths))
    return [_holder(graph, members, total) for members in _joined(groups)]


def _joined(groups: dict[tuple[str, ...], list[_Member]]) -> list[list[_Member]]:
    """One group for each leading variable; what a co-holder holds alone belongs to the set it is part of."""
    joined: dict[str, list[_Member]] = {}
    within: dict[str, str] = {}
    for places, members in sorted(groups.items(), key=lambda group: -len(group[0])):
        leading = within.get(places[0], places[0])
        joined.setdefault(leading, []).extend(members)
        for place in places:
            within.setdefault(place, leading)
    return list(joined.values())


def _plainness(path: Path) -> tuple[bool, int, str]:
    """A variable of a module is named before a local of a running frame, a short path before a long one."""
    return path.root_kind == "frame", len(path), path.expression


def _holder(graph: HeapGraph, members: list[_Member], total: int) -> Holder:
    members.sort(key=lambda member: (-len(member[1]), -member[0].bytes))
    first, paths = members[0]
    place = paths[0].retainer
    sample = np.concatenate([candidate.sample for candidate, _ in members])
    elements = sum(candidate.elements for candidate, _ in members)
    size = first.bytes
    leading, path = paths[0].object, paths[0].expression
    objects = tuple(path.object for path in paths)
    if len(members) > 1:
        objects = tuple(dict.fromkeys(i for candidate, _ in members for i in candidate.objects))
        whole = place.object if place.object >= 0 else leading
        size = max(int(graph.retained_sizes()[whole]), graph.retained_size_of(objects))
        outer = int(graph.populations()[whole])
        shared = next((candidate.objects for candidate, every in members if len(every) > 1), ())
        if outer and not (elements >= _DEEPER * outer and elements >= _DEEPER_EACH * len(members)):
            elements, sample = outer, elements_of(graph, whole)
            objects = (whole, *(i for i in shared if i != whole))
        leading, path = whole, place.path
    others = dict.fromkeys(
        path.expression for _, every in members for path in every if path.retainer.path != place.path
    )
    return Holder(
        leading,
        path,
        place,
        elements,
        _common_shape(graph, sample),
        size,
        size / total,
        tuple(others),
        objects,
    )


def _common_shape(graph: HeapGraph, sample: np.ndarray) -> str:
    if not len(sample):
        return ""
    ids, counts = np.unique(graph.shapes().ids[sample], return_counts=True)
    return graph.shapes().name(int(ids[np.argmax(counts)]))


def _garbage(graph: HeapGraph, threshold: int, total: int) -> list[Holder]:
    garbage = graph.garbage()
    if not len(garbage.heads) or garbage.held_bytes.sum() < threshold:
        return []
    types = graph.types[garbage.heads]
    found = []
    for kind in np.unique(types).tolist():
        heads, held = garbage.heads[types == kind], int(garbage.held_bytes[types == kind].sum())
        if held >= threshold:
            name = graph.type_names[kind].as_py()
            place = Place(name, "unreachable-cycle", int(heads[0]))
            shape = _common_shape(graph, heads)
            path = f"unreachable cycles of {name}"
            objects = tuple(heads[:10].tolist())
            found.append(
                Holder(int(heads[0]), path, place, len(heads), shape, held, held / total, (), objects)
            )
    return found
