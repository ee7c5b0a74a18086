"""Who owns which DynamoDB objects: every object gets one parent, equal paths fall into one group.

The parents form a breadth-first tree from the roots, modules before threads, threads before running frames, cyclic
garbage last: what a module variable and a passing frame both hold belongs to the module variable. Two objects whose
paths differ only in dict keys and list positions have the same *signature* and belong together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np
import pandas as pd

from forensics.agent.stream import EdgeKind, ObjectFlag, RootKind
from forensics.dynamodb.recognise import DynamoObjects, recognise
from forensics.dynamodb.vocabulary import Kind
from forensics.heap.graph import HeapGraph

_STORED = "forensics.dynamodb.ownership"
_KEY, _WEAK, _CLOSURE = int(EdgeKind.KEY), int(EdgeKind.WEAK), int(EdgeKind.CLOSURE)
_POSITIONS = (int(EdgeKind.ITEM), int(EdgeKind.MEMBER), int(EdgeKind.CODE_CONSTANT))

#: What stands for itself; an attribute value inside an item or a number alone does not.
WHOLE_KINDS = (
    *(Kind.RESPONSE, Kind.ITEMS, Kind.ITEM, Kind.RESOURCE_ITEM, Kind.BINARY, Kind.TOKEN, Kind.STREAM_RECORD),
    *(Kind.COPY, Kind.RAW_BODY, Kind.PAGINATOR, Kind.PAGE_ITERATOR, Kind.CLIENT, Kind.RESOURCE, Kind.TABLE),
    *(Kind.SESSION, Kind.HTTP_SESSION, Kind.METADATA, Kind.ATTRIBUTE_VALUE, Kind.REQUEST),
)


#: Objects of the SDK; the data that a client's handlers hold stands for itself, a client below a session does not.
SDK_KINDS = (Kind.CLIENT, Kind.RESOURCE, Kind.TABLE, Kind.SESSION, Kind.HTTP_SESSION)


#: Fewer of these are nothing; a class's own table of fields has the names of an item's attributes too.
_LEAST = {
    **dict.fromkeys((Kind.METADATA, Kind.REQUEST, Kind.ATTRIBUTE_VALUE, Kind.PAGINATOR), 10),
    **dict.fromkeys((Kind.COPY, Kind.BINARY), 3),
}


@dataclass(frozen=True, eq=False)
class Ownership:
    """One parent for every object of a graph.

    Attributes
    ----------
    parents : int32[n], -1 for roots
    parent_edges : int64[n], the reference by which the parent holds it, -1 for roots
    signatures : uint64[n], equal for equal paths; comparable between snapshots
    inside : bool[n], below DynamoDB data
    inside_sdk : bool[n], below a client, resource, Table or session
    unreachable : bool[n], held by no root: cyclic garbage
    """

    parents: np.ndarray
    parent_edges: np.ndarray
    signatures: np.ndarray
    inside: np.ndarray
    inside_sdk: np.ndarray
    unreachable: np.ndarray

    def ancestors(self, object_id: int) -> list[int]:
        """The object, its parent, … up to the root."""
        chain = [object_id]
        while (parent := int(self.parents[chain[-1]])) >= 0:
            chain.append(parent)
        return chain


@dataclass(frozen=True, eq=False)
class Group:
    """DynamoDB objects at one merged path.

    ``members`` are int32 ids; ``container`` is the object in which they come together: the dict, list, cache … that
    holds them, or the parent of an only member (-1: a root).
    """

    signature: int
    kind: Kind
    members: np.ndarray
    container: int
    unreachable: bool

    def __len__(self) -> int:
        return len(self.members)


def ownership(graph: HeapGraph) -> Ownership:
    """One parent for every object; kept with the graph."""
    if _STORED not in graph._memo:
        graph._memo[_STORED] = _own(graph, recognise(graph))
    return graph._memo[_STORED]


def groups(graph: HeapGraph, *kinds: Kind) -> list[Group]:
    """The outermost DynamoDB objects (of ``kinds``, by default all that stand for themselves), merged by path."""
    found, own = recognise(graph), ownership(graph)
    wanted = np.isin(found.kinds, [int(kind) for kind in kinds or WHOLE_KINDS])
    objects = found.objects[wanted]
    sdk = np.isin(found.kind_of[objects], SDK_KINDS)
    objects = objects[~own.inside[objects] & ~(sdk & own.inside_sdk[objects])]
    if not len(objects):
        return []
    order = np.argsort(own.signatures[objects], kind="stable")
    objects = objects[order]
    cuts = np.flatnonzero(np.diff(own.signatures[objects])) + 1
    return [_group(own, found, members) for members in np.split(objects, cuts)]


def outstanding(graph: HeapGraph, found: list[Group]) -> list[Group]:
    """The groups that mean something: not a few lone attribute values, nor what only looks like data.

    Below a client stands botocore's own model of the service, which is JSON too: there only what is recognised
    with at least 0.8 counts, elsewhere 0.4.
    """
    known, own = recognise(graph), ownership(graph)
    return [
        group
        for group in found
        if len(group) >= _LEAST.get(group.kind, 1)
        and known.confidence_of(group.members).mean() >= (0.8 if own.inside_sdk[group.members[0]] else 0.4)
    ]


def _group(own: Ownership, found: DynamoObjects, members: np.ndarray) -> Group:
    level = members if len(members) > 1 else own.parents[members]
    while len(level) > 1:
        level = np.unique(own.parents[level])
        level = level[level >= 0] if len(level) > 1 else level
    return Group(
        signature=int(own.signatures[members[0]]),
        kind=Kind(int(found.kind_of[members[0]])),
        members=members,
        container=int(level[0]) if len(level) else -1,
        unreachable=bool(own.unreachable[members[0]]),
    )


def namespaces(graph: HeapGraph) -> np.ndarray:
    """bool[n]: dicts that are the ``__dict__`` of a module, class or instance, and the roots' own dicts."""
    found = np.zeros(len(graph.shallow_sizes), np.bool_)
    name = [text == "__dict__" for text in graph.strings.to_pylist()] or [False]
    slot = (graph.kinds == EdgeKind.SLOT) & (graph.labels >= 0)
    slot[slot] = np.array(name)[graph.labels[slot]]
    found[graph.targets[slot]] = True
    roots = np.isin(graph.root_kinds, [RootKind.MODULES, RootKind.BUILTINS, RootKind.SYS])
    found[graph.root_objects[roots]] = True
    return found


def _own(graph: HeapGraph, found: DynamoObjects) -> Ownership:
    strings = graph.strings.to_pylist()
    string_hash = _hashes(strings)
    type_hash = _hashes(graph.type_names.to_pylist())
    phases = (
        (RootKind.MODULES,),
        (RootKind.BUILTINS, RootKind.SYS, RootKind.THREAD, RootKind.CONTEXT),
        (RootKind.FRAME,),
        (RootKind.NATIVE, RootKind.OTHER),
    )
    known = np.concatenate(
        [graph.root_objects[np.isin(graph.root_kinds, phase)] for phase in phases] or [graph.root_objects]
    )
    garbage = np.flatnonzero(graph.flags & ObjectFlag.GC_LIST_ONLY).astype(np.int32)
    starts = np.concatenate([known, garbage]).astype(np.int32)
    cuts = np.cumsum([np.isin(graph.root_kinds, phase).sum() for phase in phases]).astype(np.int64)
    whole = np.zeros(len(Kind) + 1, np.bool_)
    whole[[int(kind) for kind in WHOLE_KINDS if kind not in SDK_KINDS]] = True
    sdk = np.zeros(len(Kind) + 1, np.bool_)
    sdk[[int(kind) for kind in SDK_KINDS]] = True
    parents, edges, signatures, inside, inside_sdk, order = _tree(
        graph.offsets,
        graph.targets,
        graph.kinds,
        graph.labels,
        graph.texts,
        graph.types,
        starts,
        np.append(cuts, len(starts)),
        string_hash,
        type_hash,
        namespaces(graph),
        found.kind_of,
        whole,
        sdk,
        _scopes(graph),
    )
    unreachable = np.ones(len(parents), np.bool_)
    unreachable[order] = False
    return Ownership(parents, edges, signatures, inside, inside_sdk, unreachable)


def closure_of(graph: HeapGraph, members: np.ndarray) -> tuple[int, str] | None:
    """The scope and the variable by which V8's contexts hold ``members``, where each has a context of its own.

    Returns the object id of the ``scope_info`` that the contexts share and the variable's name; None for anything
    else: one holder of all of them, several functions or variables.
    """
    own, info = ownership(graph), graph.slot_labels().get("scope_info")
    contexts, edges = own.parents[members], own.parent_edges[members]
    if info is None or len(np.unique(contexts)) < 2 or (edges < 0).any():
        return None
    names = np.unique(graph.labels[edges])
    if (graph.kinds[edges] != EdgeKind.CLOSURE).any() or len(names) != 1 or names[0] < 0:
        return None
    slots = np.flatnonzero((graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, info))
    scopes = np.unique(graph.targets[slots[np.isin(graph.sources_of(slots), contexts)]])
    return (int(scopes[0]), str(graph.strings[int(names[0])].as_py())) if len(scopes) == 1 else None


def _scopes(graph: HeapGraph) -> np.ndarray:
    """uint64[n]: for V8's contexts what is the same for every run of a function in one process, 0 for the rest."""
    found = np.zeros(len(graph.shallow_sizes), np.uint64)
    wanted = graph.slot_labels().get("scope_info") if graph.meta.get("runtime") == "node" else None
    if wanted is not None:
        edges = np.flatnonzero((graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, wanted))
        found[graph.sources_of(edges)] = graph.addresses[graph.targets[edges]] + np.uint64(1)
    return found


def _hashes(texts: list[str | None]) -> np.ndarray:
    """uint64[max(1, len)]: a hash that is the same in every process."""
    return pd.util.hash_array(np.array([text or "" for text in texts] or [""], object), categorize=False)


@nb.njit(cache=True)
def _mix(a, b):
    x = a ^ (b + np.uint64(0x9E3779B97F4A7C15) + (a << np.uint64(6)) + (a >> np.uint64(2)))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@nb.njit(cache=True)
def _tree(
    offsets,
    targets,
    kinds,
    labels,
    texts,
    types,
    starts,
    cuts,
    string_hash,
    type_hash,
    is_namespace,
    kind_of,
    whole,
    sdk,
    scopes,
):
    n = offsets.size - 1
    parents = np.full(n, -1, np.int32)
    edges = np.full(n, -1, np.int64)
    signatures = np.zeros(n, np.uint64)
    inside = np.zeros(n, np.bool_)
    inside_sdk = np.zeros(n, np.bool_)
    seen = np.zeros(n, np.bool_)
    queue = np.empty(n, np.int32)
    head = 0
    tail = 0
    first = 0
    reached = 0
    for phase in range(cuts.size):
        garbage = phase == cuts.size - 1
        if garbage:
            reached = tail
        s = first
        while s < cuts[phase]:
            root = starts[s]
            s += 1
            if not seen[root]:
                seen[root] = True
                signatures[root] = _mix(np.uint64(phase + 1), type_hash[types[root]])
                queue[tail] = root
                tail += 1
            # Garbage is walked from one start after the other, so that a cycle's first object leads it.
            if not garbage and s < cuts[phase]:
                continue
            while head < tail:
                i = queue[head]
                head += 1
                below = inside[i] or whole[kind_of[i]]
                below_sdk = inside_sdk[i] or sdk[kind_of[i]]
                named = is_namespace[i] or kind_of[i] != 0
                for e in range(offsets[i], offsets[i + 1]):
                    t = targets[e]
                    if kinds[e] == _WEAK or seen[t]:
                        continue
                    label = np.uint64(1)
                    k = labels[e]
                    if kinds[e] == _KEY:
                        if named and 0 <= k < n and texts[k] >= 0:
                            label = string_hash[texts[k]]
                    elif kinds[e] not in _POSITIONS and 0 <= k < string_hash.size:
                        label = string_hash[k]
                    seen[t] = True
                    parents[t] = i
                    edges[t] = e
                    inside[t] = below
                    inside_sdk[t] = below_sdk
                    above = signatures[i]
                    if kinds[e] == _CLOSURE and scopes[i] != 0:
                        # How V8 reaches a variable changes as functions come and go; the variable does not.
                        above = scopes[i]
                    signatures[t] = _mix(_mix(above, label), type_hash[types[t]])
                    queue[tail] = t
                    tail += 1
        first = cuts[phase]
    return parents, edges, signatures, inside, inside_sdk, queue[:reached]
