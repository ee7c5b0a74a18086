"""A suspect from a holder: everything that the rules ask about it, wherever it came from."""

from __future__ import annotations

import numpy as np

from forensics.dynamodb import places
from forensics.dynamodb.ownership import namespaces, ownership
from forensics.dynamodb.provenance import Provenance, provenance
from forensics.dynamodb.recognise import recognise
from forensics.dynamodb.vocabulary import SDK_OBJECTS, Kind
from forensics.heap.graph import HeapGraph
from forensics.heap.javascript import is_node
from forensics.heap.series import shape_of, slope
from forensics.rules.bounds import bound_by_type, bound_in_program
from forensics.rules.evidence import Evidence
from forensics.rules.secrets import seconds_kept, secrets_in
from forensics.rules.suspect import Suspect

_OF_CLIENTS = (Kind.CLIENT, Kind.HTTP_SESSION)
_STATE = "starlette.datastructures.State"


def describe(
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
    stayed: bool = True,
) -> Suspect:
    """Everything that is asked of a holder wherever it came from.

    ``stayed``: where there are one or two elements, they are the same ones in all snapshots.
    """
    graph = evidence.snapshots[-1]
    found = recognise(graph)
    users = places.users_of(graph, path, kind)
    definition, filling, clearing = places.lines_of(graph, path, kind, users, evidence.sources)
    if definition is None and dynamo_kind in _OF_CLIENTS and is_node(graph):
        # Sockets hold what was dropped: the line to change is the one that makes it for each call.
        definition = next(iter(places.clients_made(evidence.sources)), None)
    seconds = evidence.seconds()
    responses = evidence.responses_of(len(evidence.snapshots) - 1)
    secrets = secrets_in(graph, inside)
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
        shape=shape or _shape(elements, sizes, stayed),  # type: ignore[arg-type]
        retained_bytes=retained,
        objects_per_second=slope(elements, seconds),
        bytes_per_second=_rate(dynamo_kind, elements, sizes, retained, seconds),
        on_path=on_path,
        chain=chain,
        also_held_by=also,
        counts={Kind(k): int(n) for k, n in enumerate(counted.tolist()) if n and k},
        secrets=secrets,
        secrets_kept=seconds_kept(evidence.snapshots, seconds, inside, responses) if secrets else {},
        provenance=Provenance()
        if dynamo_kind == Kind.NONE
        else provenance(
            graph,
            inside,
            users=users,
            filling=[(line.file, line.scope) for line in filling if line.text],
            responses=responses,
            sources=evidence.sources,
        ),
        definition=definition,
        users=users,
        filling=filling,
        clearing=clearing,
        confidence=confidence,
        element_shape=element_shape,
        unreachable=unreachable,
        bounded=bound_by_type(graph, container) or bound_in_program(clearing),
        outer_type=_outer_type(graph, container),
        in_itself=stayed and len(elements) > 1 and elements[-1] <= 2 and elements[-1] == elements[-2],
    )


def _rate(
    dynamo_kind: Kind, elements: tuple[int, ...], sizes: tuple[int, ...], retained: int, seconds: list[float]
) -> float | None:
    """Bytes a second; what an object of the SDK keeps beside itself (models, pools) is in no size but the retained."""
    rate, more = slope(sizes, seconds), slope(elements, seconds)
    if rate is None or more is None or dynamo_kind not in SDK_OBJECTS or not elements[-1]:
        return rate
    return max(rate, more * retained / elements[-1])


def _shape(elements: tuple[int, ...], sizes: tuple[int, ...], stayed: bool) -> str:
    """By the number of elements; by bytes where one element grows in itself, which must have been there before."""
    by_elements = shape_of(elements)[0]
    alone = stayed and by_elements == "plateau" and elements[-1] <= 2 and elements[-2] > 0
    return shape_of(sizes)[0] if alone else by_elements


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


def _outer_type(graph: HeapGraph, container: int) -> str:
    """The type of the container that the container lies in; empty where that is a namespace or no container."""
    parents = ownership(graph).parents
    parent = int(parents[container]) if container >= 0 else -1
    if parent < 0 or namespaces(graph)[parent]:
        return ""
    if parents[parent] >= 0 and graph.type_name(int(parents[parent])) == _STATE:
        return ""  # a dict in which Starlette keeps attributes
    return graph.type_name(parent)
