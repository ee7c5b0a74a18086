"""From graphs to suspects: DynamoDB objects grouped by who holds them, and what else grows."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from forensics.dynamodb import places
from forensics.dynamodb.ownership import SDK_KINDS as _SDK_KINDS
from forensics.dynamodb.ownership import WHOLE_KINDS, Group, groups, ownership
from forensics.dynamodb.recognise import recognise
from forensics.dynamodb.vocabulary import Kind
from forensics.heap.graph import HeapGraph
from forensics.heap.javascript import MACHINERY, is_node
from forensics.rules.content import bytes_below, content
from forensics.rules.description import describe
from forensics.rules.draft import Draft, by_retainer, heaviest, resolve, telling
from forensics.rules.evidence import Evidence
from forensics.rules.identity import the_same
from forensics.rules.suspect import Suspect

if TYPE_CHECKING:
    from forensics.heap.diff import HolderSeries

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
    # the agent and the tracer: what they note of the last calls is bounded
    "forensics.agent.",
    "_forensics_agent",
)
#: The import system's own lists, by whatever module that imported ``sys`` they are reached first.
_OF_SYS = re.compile(r"\.sys\.(?:modules|meta_path|path|path_hooks|path_importer_cache)\b")


def suspects(evidence: Evidence) -> list[Suspect]:
    """Every holder of DynamoDB data in the last snapshot, and every other holder that grows; heaviest first."""
    if not len(evidence.snapshots):
        return []
    found = _dynamodb(evidence)
    found += _others(evidence, found)
    return sorted(found, key=lambda suspect: -suspect.retained_bytes)


# -- DynamoDB ----------------------------------------------------------------------------------------------------


def _dynamodb(evidence: Evidence) -> list[Suspect]:
    last = evidence.snapshots[-1]
    drafts: dict[str, Draft] = {}
    for group in heaviest(last, groups(last, *WHOLE_KINDS)):
        draft = resolve(last, group)
        if draft is None:
            continue
        known = drafts.setdefault(draft.path, draft)
        known.groups.append(group)
        known.kind = min(known.kind, draft.kind, key=telling)
        known.also += [path for path in draft.also if path not in known.also]
    by_snapshot = [
        {(group.signature, group.kind): group for group in groups(graph, *WHOLE_KINDS)}
        for graph in list(evidence.snapshots)[:-1]
    ]
    return [_suspect(evidence, draft, by_snapshot) for draft in drafts.values()]


def _suspect(evidence: Evidence, draft: Draft, earlier: list[dict[tuple[int, Kind], Group]]) -> Suspect:
    graph = evidence.snapshots[-1]
    _one_room(draft)
    main = max(draft.groups, key=lambda group: (len(group), group.kind in _SDK_KINDS))
    members = np.unique(np.concatenate([group.members for group in draft.groups]))
    singles = _singles(evidence, draft, earlier)
    elements, sizes = [], []
    for snapshot, ids in zip(evidence.snapshots, singles, strict=False):
        elements.append(len(ids))
        sizes.append(bytes_below(snapshot, ids))
    inside = content(graph, members)
    elements.append(len(members))
    sizes.append(int(graph.shallow_sizes[inside].sum()))
    container, kind = main.container, _main_kind(draft.groups)
    stayed = _stayed(evidence, singles, members)
    if len(members) == 1 and kind == Kind.ITEMS and graph.lengths[members[0]] > 1 and stayed:
        # One list that grows: its items are the elements.
        container, kind = int(members[0]), Kind.ITEM
        members = np.unique(graph.targets[graph.offsets[container] : graph.offsets[container + 1]])
        counted = zip(evidence.snapshots, (*singles, np.array([container])), strict=True)
        elements = [int(snapshot.lengths[ids].sum()) for snapshot, ids in counted]
    return describe(
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
        stayed=stayed,
    )


def _stayed(evidence: Evidence, singles: list[np.ndarray], members: np.ndarray) -> bool:
    """Whether one or two elements are the same ones since they came; a newer one in their place is no growth."""
    if len(members) > 2:
        return True
    earlier = [
        (graph, ids)
        for graph, ids in zip(evidence.snapshots, singles, strict=False)
        if len(ids) == len(members)
    ]
    return all(the_same(graph, ids, evidence.snapshots[-1], members) for graph, ids in earlier)


def _one_room(draft: Draft) -> None:
    """Keep either the SDK's objects or the data: clients that pile up are the point, one client's data is."""
    sdk = [group for group in draft.groups if group.kind in _SDK_KINDS]
    data = [group for group in draft.groups if group.kind not in _SDK_KINDS]
    if sdk and data:
        draft.groups = sdk if sum(map(len, sdk)) >= 3 else data


def _singles(
    evidence: Evidence, draft: Draft, earlier: list[dict[tuple[int, Kind], Group]]
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
            named = by_retainer(snapshot).get(draft.path, [])
            same = [group.members for group in named if group.kind in kinds]
        found.append(np.unique(np.concatenate(same)) if same else np.zeros(0, np.int32))
    return found


def _as_token(graph: HeapGraph, kind: Kind, members: np.ndarray, draft: Draft, evidence: Evidence) -> Kind:
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
        if path in paths or container < 0 or container in above:
            continue
        if path.startswith(_INTERPRETER) or _OF_SYS.search(path):
            continue
        if not _steady(series.elements, series.bytes) or held[own.ancestors(container)].any():
            continue
        if series.retainer.kind == "unreachable-cycle" and path.removeprefix("unreachable ") in cycles:
            continue
        paths.add(path)
        inside = content(graph, np.array([container], np.int32))
        if any(2 * inside[members].sum() >= len(members) for members in grown):
            continue
        if is_node(graph) and _is_warm_up(series, int(graph.shallow_sizes[inside].sum())):
            continue
        counts = np.bincount(recognise(graph).kind_of[inside], minlength=len(Kind))
        found.append(
            describe(
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


def _is_warm_up(series: HolderSeries, carried: int) -> bool:
    """Whether what grew is what V8 makes of functions while they run, and no element nor what one carries."""
    same = len(set(series.elements)) == 1
    return series.element_shape in MACHINERY or (same and 2 * carried < series.grown_bytes)


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
