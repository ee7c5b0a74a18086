"""Populations: how many elements a container holds, and which container on the way up holds most."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from forensics.agent.stream import EdgeKind

from .compiled import compiled, frozen

if TYPE_CHECKING:
    from .graph import HeapGraph

_KEY, _ITEM, _MEMBER = int(EdgeKind.KEY), int(EdgeKind.ITEM), int(EdgeKind.MEMBER)
_INTERNAL, _ATTRIBUTE, _WEAK = int(EdgeKind.INTERNAL), int(EdgeKind.ATTRIBUTE), int(EdgeKind.WEAK)
_SLOT = int(EdgeKind.SLOT)

#: An object with so many unnamed references is a container written in C (an ``lru_cache``, a foreign collection).
_UNNAMED = 8
#: One with so many attributes is used as a table.
_ATTRIBUTES = 64
#: Types that have many unnamed references and are no containers.
_NEVER = (
    *("function", "code", "module", "frame", "cell", "type"),
    # V8's own: what they list belongs to the object that they are part of
    *(
        "(array)",
        "(object elements)",
        "(object properties)",
        "(closure)",
        "(compiled code)",
        "(object shape)",
    ),
    *("system / PropertyArray", "system / Context", "system / NativeContext", "(GC roots)", "(system)"),
)
#: Co-holders looked for; what more containers share belongs to nobody.
MOST_HOLDERS = 4


class Populations(NamedTuple):
    """How many elements every object holds: int32[n], read-only, 0 for what is no container, and for namespaces."""

    counts: np.ndarray

    @classmethod
    def of(cls, graph: HeapGraph) -> Populations:
        """Look at every reference once."""
        types = graph.type_names.to_pylist()
        never = np.array([name in _NEVER or name.endswith("Meta") for name in types] or [False])
        counts = _count(
            graph.offsets,
            frozen(graph.kinds),
            frozen(graph.types),
            frozen(never),
            frozen(graph.namespace_mask()),
        )
        return cls(frozen(counts))


def elements_of(graph: HeapGraph, i: int) -> np.ndarray:
    """int32, new: what a container holds, by the same rule that counts them."""
    begin, end = int(graph.offsets[i]), int(graph.offsets[i + 1])
    kinds, targets = graph.kinds[begin:end], graph.targets[begin:end]
    for wanted in ((_KEY, _ITEM, _MEMBER), (_INTERNAL,), (_ATTRIBUTE, _SLOT)):
        mask = np.isin(kinds, wanted)
        if mask.any():
            return np.array(targets[mask])
    return np.empty(0, np.int32)


@compiled
def _count(offsets, kinds, types, never, namespaces):
    n = offsets.size - 1
    found = np.zeros(n, np.int32)
    for i in range(n):
        if namespaces[i]:
            continue
        contained, unnamed, attributes = 0, 0, 0
        for e in range(offsets[i], offsets[i + 1]):
            kind = kinds[e]
            if kind in (_KEY, _ITEM, _MEMBER):
                contained += 1
            elif kind == _INTERNAL:
                unnamed += 1
            elif kind == _ATTRIBUTE:
                attributes += 1
        if contained:
            found[i] = contained
        elif unnamed >= _UNNAMED and not never[types[i]]:
            found[i] = unnamed
        elif attributes >= _ATTRIBUTES:
            found[i] = attributes
    return found


@compiled
def runs(order, dominator, types):
    """int32[n], int32[n]: the first object of the chain of one type that an object ends, and its place in it.

    A linked list is such a chain of dominators, also where a namespace dict stands between two of its nodes.
    """
    n = dominator.size
    head = np.arange(n).astype(np.int32)
    depth = np.zeros(n, np.int32)
    for i in order:
        above = dominator[i]
        if above < 0:
            continue
        if types[above] == types[i]:
            head[i] = head[above]
            depth[i] = depth[above] + 1
        elif dominator[above] >= 0 and types[dominator[above]] == types[i]:
            head[i] = head[dominator[above]]
            depth[i] = depth[dominator[above]] + 1
    return head, depth


@compiled
def carried(bigs, parents, retained, threshold, rest):
    """bool[b], int64[b], int64: which of the big objects are accumulation points, and the bytes that gather there.

    ``bigs`` has every dominator before what it dominates; ``parents`` says where in ``bigs`` each one's dominator
    stands, -1 for the virtual root, whose own bytes start at ``rest``. The bytes of an object that are not in a
    big child are its own; where they are too few they count for its dominator.
    """
    own = retained.copy()
    for k in range(bigs.size):
        if parents[k] >= 0:
            own[parents[k]] -= retained[k]
        else:
            rest -= retained[k]
    point = np.zeros(bigs.size, np.bool_)
    for k in range(bigs.size - 1, -1, -1):
        if own[k] >= threshold:
            point[k] = True
        elif parents[k] >= 0:
            own[parents[k]] += own[k]
        else:
            rest += own[k]
    return point, own, rest


@compiled
def largest_above(order, dominator, population, is_point):
    """int32[n], int32[n]: the largest container from an object up to the next accumulation point, and that point."""
    n = dominator.size
    largest = np.full(n, -1, np.int32)
    point = np.full(n, -1, np.int32)
    for i in order:
        above = dominator[i]
        if above >= 0 and not is_point[above]:
            largest[i] = largest[above]
            point[i] = point[above]
        else:
            point[i] = above
        if population[i] and (largest[i] < 0 or population[i] > population[largest[i]]):
            largest[i] = i
    return largest, point


@compiled
def held_directly(objects, dominator, starts, sources, edges, kinds):
    """bool: which of these objects their dominator refers to itself."""
    found = np.zeros(objects.size, np.bool_)
    for f in range(objects.size):
        x = objects[f]
        for k in range(starts[x], starts[x + 1]):
            if sources[k] == dominator[x] and not (kinds.size and kinds[edges[k]] == _WEAK):
                found[f] = True
                break
    return found


@compiled
def depths_in(order, dominator, inside):
    """int32[n]: how many objects on the way from the virtual root to each one, itself included, are ``inside``."""
    depths = np.zeros(dominator.size, np.int32)
    for i in order:
        above = dominator[i]
        depths[i] = (depths[above] if above >= 0 else 0) + inside[i]
    return depths


@compiled
def shared_by(floating, dominator, starts, sources, edges, kinds, largest, point, population, machinery):
    """int32[f, 4]: for each object the containers that share it, ascending, -1 for none; all -2: more than four.

    ``floating`` are objects that their dominator does not refer to: every reference to them comes from something
    below it. The largest container between that referrer and the dominator counts as the holder. A referrer below
    machinery of the engine, of which ``machinery`` counts the layers, is none: code and the shape of an object
    mention what no container holds.
    """
    found = np.full((floating.size, MOST_HOLDERS), -1, np.int32)
    for f in range(floating.size):
        x = floating[f]
        ceiling = dominator[x]
        count = 0
        for k in range(starts[x], starts[x + 1]):
            source = sources[k]
            if dominator[source] == -2 or (kinds.size and kinds[edges[k]] == _WEAK):
                continue
            if machinery[source] > (machinery[ceiling] if ceiling >= 0 else 0):
                continue
            holder = largest[source]
            above = point[source]
            while above >= 0 and above != ceiling:
                if largest[above] >= 0 and (holder < 0 or population[largest[above]] > population[holder]):
                    holder = largest[above]
                above = point[above]
            if holder < 0 or holder == x:
                continue
            known = False
            for j in range(count):
                known = known or found[f, j] == holder
            if not known:
                if count == MOST_HOLDERS:
                    count = -1
                    break
                found[f, count] = holder
                count += 1
        if count < 0:
            found[f, :] = -2
        else:
            found[f, :count].sort()
    return found
