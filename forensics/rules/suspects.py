"""From graphs to suspects: DynamoDB objects grouped by who holds them, and what else grows."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from forensics.agent.stream import EdgeKind, ObjectFlag, RootKind
from forensics.capture.masking import SECRET_KINDS, SECRET_SHIFT
from forensics.dynamodb import kernels, places
from forensics.dynamodb.ownership import SDK_KINDS as _SDK_KINDS
from forensics.dynamodb.ownership import WHOLE_KINDS, Group, groups, namespaces, outstanding, ownership
from forensics.dynamodb.provenance import Provenance, provenance
from forensics.dynamodb.recognise import recognise
from forensics.dynamodb.vocabulary import Kind
from forensics.heap.graph import HeapGraph
from forensics.heap.javascript import is_node
from forensics.heap.path import Path, Place
from forensics.heap.series import shape_of, slope
from forensics.rules.evidence import Evidence
from forensics.rules.suspect import Suspect

#: Growth of these is imports and warm-up of the interpreter itself.
_INTERPRETER = (
    "sys.modules",
    "sys.",
    "builtins.",
    "linecache.",
    "re.",
    "functools.",
    "typing.",
    "copyreg.",
    "enum.",
    # Node itself: what it has loaded, its own modules
    "node:",
    "closure get (node:",
    "(root)",
)
#: At most this many merged paths are looked at, the heaviest first; the rest is small.
GROUP_LIMIT = 80
_STORED = "forensics.rules.content"
_BARRIERS = frozenset("module code builtin_function_or_method method_descriptor wrapper_descriptor".split())
_BOUNDED_TYPES = re.compile(r"cachetools\.\w*Cache$|\w*(LRU|TTL|LFU)Cache$|functools\._lru_list_elem$")


def suspects(evidence: Evidence) -> list[Suspect]:
    """Every holder of DynamoDB data in the last snapshot, and every other holder that grows; heaviest first."""
    if not len(evidence.snapshots):
        return []
    found = _dynamodb(evidence)
    found += _others(evidence, found)
    return sorted(found, key=lambda suspect: -suspect.retained_bytes)


@dataclass
class _Draft:
    """Groups of one retainer while they are collected."""

    path: str
    kind: str
    chain: tuple[str, ...]
    groups: list[Group] = field(default_factory=list)
    also: list[str] = field(default_factory=list)


def barriers(graph: HeapGraph) -> np.ndarray:
    """bool[n]: what a holder only borrows: modules, classes, code, running frames, namespaces of modules."""

    def compute() -> np.ndarray:
        names = graph.type_names.to_pylist()
        if is_node(graph):
            return _barriers_of_v8(graph, names)
        borrowed = np.array(
            [name in _BARRIERS or name == "type" or name.endswith("Meta") for name in names] or [False]
        )
        found = borrowed[graph.types] | ((graph.flags & ObjectFlag.SYNTHETIC) > 0)
        slots = np.flatnonzero((graph.kinds == EdgeKind.SLOT) & found[_owners(graph)])
        found[graph.targets[slots]] |= np.isin(graph.types[graph.targets[slots]], _type_ids(graph, "dict"))
        globals_ = [
            k for k, text in enumerate(graph.strings.to_pylist()) if text in ("__globals__", "f_globals")
        ]
        found[graph.targets[(graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, globals_)]] = True
        found[graph.root_objects[np.isin(graph.root_kinds, [RootKind.MODULES, RootKind.BUILTINS])]] = True
        return found

    return graph._once("forensics.rules.barriers", compute)


#: What V8's objects only borrow from the program: their shape, code, functions and the variables of these.
_BORROWED_V8 = frozenset(
    [
        *("(object shape)", "(compiled code)", "(closure)", "(synthetic)", "system / NativeContext"),
        *("system / Context", "(hidden)", "global", "(symbol)"),
    ]
)


def _barriers_of_v8(graph: HeapGraph, names: list[str]) -> np.ndarray:
    found = np.array([name in _BORROWED_V8 for name in names] or [False])[graph.types]
    inherited = graph.slot_labels().get("__proto__")
    if inherited is not None:
        found[graph.targets[(graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, inherited)]] = True
    return found


def content(graph: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """bool[n]: what lies below ``objects`` without what they only borrow."""
    return kernels.content(
        graph.offsets, graph.targets, graph.kinds, objects.astype(np.int64), barriers(graph), True
    )


def _owners(graph: HeapGraph) -> np.ndarray:
    return np.repeat(np.arange(len(graph)), np.diff(graph.offsets))


def _type_ids(graph: HeapGraph, *names: str) -> list[int]:
    return [k for k, name in enumerate(graph.type_names.to_pylist()) if name in names]


# -- DynamoDB ----------------------------------------------------------------------------------------------------


def _dynamodb(evidence: Evidence) -> list[Suspect]:
    last = evidence.snapshots[-1]
    drafts: dict[str, _Draft] = {}
    for group in _heaviest(last, groups(last, *WHOLE_KINDS)):
        draft = _resolve(last, group)
        if draft is None:
            continue
        known = drafts.setdefault(draft.path, draft)
        known.groups.append(group)
        known.kind = min(known.kind, draft.kind, key=_telling)
        known.also += [path for path in draft.also if path not in known.also]
    by_snapshot = [
        {(group.signature, group.kind): group for group in groups(graph, *WHOLE_KINDS)}
        for graph in list(evidence.snapshots)[:-1]
    ]
    return [_suspect(evidence, draft, by_snapshot) for draft in drafts.values()]


def _heaviest(graph: HeapGraph, found: Iterable[Group]) -> list[Group]:
    """The groups worth a path: single attribute values and request parameters are not."""
    worth = outstanding(graph, list(found))
    return sorted(worth, key=lambda group: -len(group))[:GROUP_LIMIT]


def _resolve(graph: HeapGraph, group: Group) -> _Draft | None:
    """The retainer of a group, by the best path to what holds it."""
    paths = graph.paths_to_roots(int(group.members[0]), limit=5)
    if not paths:
        return None
    if group.unreachable:
        return _Draft(paths[0].retainer.path, "unreachable-cycle", (paths[0].expression,))
    paths = sorted(paths, key=_path_rank)
    best = paths[0].retainer
    # The same object under another name (an import) is no second holder.
    others = (path.retainer for path in paths[1:])
    also = [place.path for place in others if place.path != best.path and place.object != best.object]
    path, kind = _named(graph, best, paths[0])
    if kind == "task" and best.kind != "task":
        also.insert(0, best.path)
    return _Draft(path, kind, (paths[0].expression,), also=list(dict.fromkeys(also)))


#: Kinds that say more of the pattern than the name of a variable does.
_TELLING = (
    "exception",
    "handler",
    "task",
    "generator",
    "callback",
    "queue",
    "cache",
    "contextvar",
    "thread-local",
)


def _telling(kind: str) -> int:
    return _TELLING.index(kind) if kind in _TELLING else len(_TELLING)


def _named(graph: HeapGraph, place: Place, path: Path) -> tuple[str, str]:
    """The place as a person would look for it: caches by their function, closures with their module."""
    if is_node(graph):
        return place.path, place.kind
    inner = {"cache": ".cache", "queue": ".queue"}.get(place.kind, "")
    name = place.path.removesuffix(inner) if inner else place.path
    types = [graph.type_name(int(i)) for i in path.objects.tolist()]
    hooks = next((k for k, each in enumerate(types) if each.startswith("botocore.hooks.")), -1)
    if hooks > 0:
        # What hangs from a client's events is registered on that client.
        owner = next((k for k in range(hooks, -1, -1) if _SDK_OWNER.match(types[k])), -1)
        if owner > 0:
            return graph.paths_to_roots(int(path.objects[owner]), limit=1)[0].expression, "handler"
    local = re.match(r"(?:Task\S*|coroutine) (\w+\(\) local \w+)", path.expression)
    if local is not None and not place.kind.startswith("generator"):
        # Whatever keeps the tasks, each holds the data in a local of its own; a task's number says nothing.
        return f"Task {local[1]}", "task"
    closure = re.match(r"closure of (\w+): (\w+)$", name)
    if closure is not None:
        cell = next(
            (int(i) for i, each in zip(path.objects.tolist(), types, strict=True) if each == "function"), -1
        )
        module = _module_of_function(graph, cell) if cell >= 0 else ""
        if module:
            name = f"closure of {module}.{closure[1]}: {closure[2]}"
    return name, place.kind


_SDK_OWNER = re.compile(r"(aio)?(boto3|botocore)\.(client\.\w+|session\.\w+|resources\.factory\..+)$")


def _module_of_function(graph: HeapGraph, function: int) -> str:
    """The module that a function was compiled in, empty where the heap does not tell."""
    modules = graph.modules()
    space = graph.variables().home(function)
    return modules.names.get(modules.namespaces.get(space, -1), "")


def _path_rank(path: Path) -> int:
    """What the program keeps comes before what a running call happens to hold."""
    return int(path.retainer.kind in ("frame-local", "native"))


def _chain(graph: HeapGraph, member: int) -> tuple[str, ...]:
    if is_node(graph):
        # What lies between the variable and the data; how V8 reaches the variable tells nothing.
        paths = graph.paths_to_roots(member, limit=1)
        objects = paths[0].objects.tolist() if paths else []
        first = (
            objects.index(paths[0].retainer.object) if objects and paths[0].retainer.object in objects else 0
        )
        return tuple(graph.type_name(each) for each in objects[first:])
    return tuple(graph.type_name(each) for each in reversed(ownership(graph).ancestors(member)))


def _suspect(evidence: Evidence, draft: _Draft, earlier: list[dict[tuple[int, Kind], Group]]) -> Suspect:
    graph = evidence.snapshots[-1]
    _one_room(draft)
    main = max(draft.groups, key=lambda group: (len(group), group.kind in _SDK_KINDS))
    members = np.unique(np.concatenate([group.members for group in draft.groups]))
    elements, sizes = [], []
    for snapshot, ids in zip(evidence.snapshots, _singles(evidence, draft, earlier), strict=False):
        elements.append(len(ids))
        sizes.append(_bytes_below(snapshot, ids))
    inside = content(graph, members)
    elements.append(len(members))
    sizes.append(int(graph.shallow_sizes[inside].sum()))
    container, kind = main.container, _main_kind(draft.groups)
    if len(members) == 1 and kind == Kind.ITEMS and graph.lengths[members[0]] > 1:
        # One list that grows: its items are the elements.
        container, kind = int(members[0]), Kind.ITEM
        members = np.unique(graph.targets[graph.offsets[container] : graph.offsets[container + 1]])
        counted = zip(
            evidence.snapshots, (*_singles(evidence, draft, earlier), np.array([container])), strict=True
        )
        elements = [int(snapshot.lengths[ids].sum()) for snapshot, ids in counted]
    return _finish(
        evidence,
        path=draft.path,
        kind=draft.kind,
        container=container,
        members=members,
        dynamo_kind=_as_token(graph, kind, members, draft, evidence),
        elements=tuple(elements),
        sizes=tuple(sizes),
        inside=inside,
        chain=draft.chain,
        also=tuple(draft.also),
        unreachable=main.unreachable,
        confidence=float(recognise(graph).confidence_of(members).mean()),
    )


def _one_room(draft: _Draft) -> None:
    """Keep either the SDK's objects or the data: clients that pile up are the point, one client's data is."""
    sdk = [group for group in draft.groups if group.kind in _SDK_KINDS]
    data = [group for group in draft.groups if group.kind not in _SDK_KINDS]
    if sdk and data:
        draft.groups = sdk if sum(map(len, sdk)) >= 3 else data


def _singles(
    evidence: Evidence, draft: _Draft, earlier: list[dict[tuple[int, Kind], Group]]
) -> list[np.ndarray]:
    """The members of the same merged paths in the earlier snapshots; where there are none, of the same retainer.

    The way to a task differs between the moment it waits and the moment it is about to run: its name does not.
    """
    found = []
    for snapshot, known in zip(evidence.snapshots, earlier, strict=False):
        same = [
            known[key].members for group in draft.groups if (key := (group.signature, group.kind)) in known
        ]
        if not same:
            kinds = {group.kind for group in draft.groups}
            named = _by_retainer(snapshot).get(draft.path, [])
            same = [group.members for group in named if group.kind in kinds]
        found.append(np.unique(np.concatenate(same)) if same else np.zeros(0, np.int32))
    return found


def _by_retainer(graph: HeapGraph) -> dict[str, list[Group]]:
    """The groups of a snapshot by their retainers' paths; kept with the graph."""

    def compute() -> dict[str, list[Group]]:
        named: dict[str, list[Group]] = {}
        for group in _heaviest(graph, groups(graph, *WHOLE_KINDS)):
            draft = _resolve(graph, group)
            if draft is not None:
                named.setdefault(draft.path, []).append(group)
        return named

    return graph._once("forensics.rules.by retainer", compute)


def _as_token(graph: HeapGraph, kind: Kind, members: np.ndarray, draft: _Draft, evidence: Evidence) -> Kind:
    """TOKEN for items of at most four attributes where the lines that fill the holder take a page token.

    Four: the keys of a table and of an index. A stored token is an item by its looks.
    """
    if kind != Kind.ITEM or (graph.lengths[members] > 4).any():
        return kind
    users = places.users_of(graph, draft.path, draft.kind)
    _, filling, _ = places.lines_of(graph, draft.path, draft.kind, users, evidence.sources)
    said = any("LastEvaluatedKey" in line.text or "ExclusiveStartKey" in line.text for line in filling)
    if evidence.sources is None:
        said = any("LastEvaluatedKey" in user.constants for user in users)
    return Kind.TOKEN if said else kind


def _main_kind(found: list[Group]) -> Kind:
    """The kind of most members; clients and sessions before the data that they hold."""
    counted: Counter[Kind] = Counter()
    for group in found:
        counted[group.kind] += len(group)
    return counted.most_common(1)[0][0]


def _bytes_below(graph: HeapGraph, ids: np.ndarray) -> int:
    return int(graph.shallow_sizes[content(graph, ids)].sum()) if len(ids) else 0


def _finish(
    evidence: Evidence,
    *,
    path: str,
    kind: str,
    container: int,
    members: np.ndarray,
    dynamo_kind: Kind,
    elements: tuple[int, ...],
    sizes: tuple[int, ...],
    inside: np.ndarray,
    chain: tuple[str, ...],
    also: tuple[str, ...] = (),
    unreachable: bool = False,
    confidence: float = 0.0,
    shape: str = "",
    element_shape: str = "",
    retained: int | None = None,
) -> Suspect:
    """Everything that is asked of a holder wherever it came from."""
    graph = evidence.snapshots[-1]
    found = recognise(graph)
    users = places.users_of(graph, path, kind)
    definition, filling, clearing = places.lines_of(graph, path, kind, users, evidence.sources)
    seconds = evidence.seconds()
    counted = np.bincount(found.kind_of[inside], minlength=len(Kind))
    start = int(members[0]) if len(members) else container
    on_path = _chain(graph, start) if start >= 0 else ()
    if retained is None:
        retained = sizes[-1] if unreachable or not len(members) else max(graph.retained_size_of(members), 0)
    return Suspect(
        path=path,
        kind=kind,
        container=container,
        container_type=graph.type_name(container) if container >= 0 else "",
        members=members,
        dynamo_kind=dynamo_kind,
        elements=elements,
        sizes=sizes,
        shape=shape or _shape(elements, sizes),  # type: ignore[arg-type]
        retained_bytes=retained,
        objects_per_second=slope(elements, seconds),
        bytes_per_second=slope(sizes, seconds),
        on_path=on_path,
        chain=chain,
        also_held_by=also,
        counts={Kind(k): int(n) for k, n in enumerate(counted.tolist()) if n and k},
        secrets=secrets_in(graph, inside),
        provenance=Provenance()
        if dynamo_kind == Kind.NONE
        else provenance(
            graph,
            inside,
            users=users,
            filling=[(line.file, line.scope) for line in filling if line.text],
            responses=evidence.responses_of(len(evidence.snapshots) - 1),
            sources=evidence.sources,
        ),
        definition=definition,
        users=users,
        filling=filling,
        clearing=clearing,
        confidence=confidence,
        element_shape=element_shape,
        unreachable=unreachable,
        bounded=_bound(graph, container) or _bound_in_program(clearing),
        outer_type=_outer_type(graph, container),
    )


def _shape(elements: tuple[int, ...], sizes: tuple[int, ...]) -> str:
    """By the number of elements; by bytes where one element grows in itself, which must have been there before."""
    by_elements = shape_of(elements)[0]
    alone = by_elements == "plateau" and elements[-1] <= 2 and elements[-2] > 0
    return shape_of(sizes)[0] if alone else by_elements


def secrets_in(graph: HeapGraph, inside: np.ndarray) -> dict[str, int]:
    """How many values inside look like which kind of secret; from the classes that masking left."""
    kinds = graph.value_classes[inside] >> SECRET_SHIFT
    counts = np.bincount(kinds, minlength=len(SECRET_KINDS))
    return {
        SECRET_KINDS[k]: int(n) for k, n in enumerate(counts.tolist()) if k and n and k < len(SECRET_KINDS)
    }


def _outer_type(graph: HeapGraph, container: int) -> str:
    """The type of the container that the container lies in; empty where that is a namespace or no container."""
    parent = int(ownership(graph).parents[container]) if container >= 0 else -1
    if parent < 0 or namespaces(graph)[parent]:
        return ""
    return graph.type_name(parent)


def _bound(graph: HeapGraph, container: int) -> str:
    """What bounds the container, if its type shows it: cachetools' caches, ``lru_cache`` with a maximum."""
    if container < 0:
        return ""
    chain = [container, *ownership(graph).ancestors(container)[1:3]]
    for each in chain:
        name = graph.type_name(each)
        if _BOUNDED_TYPES.search(name):
            return f"{name} has a maximum size"
        if name == "functools._lru_cache_wrapper":
            # With a maximum the wrapper refers to its results itself, and its dict to links between them.
            below = graph.targets[graph.offsets[container] : graph.offsets[container + 1]].tolist()
            if each == container or any(graph.type_name(i) == "functools._lru_list_elem" for i in below):
                return "lru_cache with a maximum size"
    return ""


def _bound_in_program(clearing: tuple[places.Line, ...]) -> str:
    """What bounds it by the program's own lines: ``while len(x) > limit: x.popitem()``."""
    for line in clearing:
        if line.bounds:
            return f"emptied when it is too large at {line}"
    return ""


# -- everything else ----------------------------------------------------------------------------------------------


def _others(evidence: Evidence, known: list[Suspect]) -> list[Suspect]:
    """Holders that grow and hold no DynamoDB data that recognition saw."""
    if len(evidence.snapshots) < 2:
        return []
    from forensics.heap.diff import diff

    graph = evidence.snapshots[-1]
    own = ownership(graph)
    paths = {suspect.path for suspect in known}
    some = [int(suspect.members[-1]) for suspect in known if len(suspect.members)]
    above = {each for member in some for each in own.ancestors(member)}
    grown = [suspect.members for suspect in known if suspect.growing and len(suspect.members)]
    cycles = {name for suspect in known if suspect.unreachable for name in suspect.on_path}
    held = np.zeros(len(graph), np.bool_)
    for members in grown:
        held[members] = True
    found = []
    for series in diff(list(evidence.snapshots)).growing:
        path, container = series.retainer.path, series.objects[-1]
        if path in paths or path.startswith(_INTERPRETER) or container < 0 or container in above:
            continue
        if not _steady(series.elements, series.bytes) or held[own.ancestors(container)].any():
            continue
        if series.retainer.kind == "unreachable-cycle" and path.removeprefix("unreachable ") in cycles:
            continue
        paths.add(path)
        inside = content(graph, np.array([container], np.int32))
        if any(2 * inside[members].sum() >= len(members) for members in grown):
            continue
        counts = np.bincount(recognise(graph).kind_of[inside], minlength=len(Kind))
        found.append(
            _finish(
                evidence,
                path=path,
                kind=series.retainer.kind,
                container=container,
                members=np.zeros(0, np.int32),
                dynamo_kind=_kind_inside(counts, int(series.elements[-1])),
                elements=series.elements,
                sizes=series.bytes,
                inside=inside,
                chain=(series.path,),
                also=series.also_held_by,
                unreachable=series.retainer.kind == "unreachable-cycle",
                shape=series.shape,
                confidence=float(series.confidence),
                element_shape=series.element_shape,
                retained=int(series.bytes[-1]),
            )
        )
    return found


def _steady(elements: tuple[int, ...], sizes: tuple[int, ...]) -> bool:
    """Whether it grew in every interval: what grew in one only was loaded once."""
    series = elements if len(set(elements)) > 1 else sizes
    return all(after > before for before, after in itertools.pairwise(series))


def _kind_inside(counts: np.ndarray, elements: int) -> Kind:
    """The kind of what a holder's elements carry, NONE unless there is about one for each element."""
    for kind in (
        *_SDK_KINDS,
        Kind.RESPONSE,
        Kind.ITEMS,
        Kind.ITEM,
        Kind.RESOURCE_ITEM,
        Kind.COPY,
        Kind.BINARY,
    ):
        if counts[kind] and counts[kind] >= 0.5 * elements:
            return kind
    return Kind.NONE
