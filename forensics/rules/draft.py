"""A draft of a suspect: groups of DynamoDB objects of one retainer, and the retainer's name and kind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from forensics.dynamodb.ownership import WHOLE_KINDS, Group, groups, outstanding
from forensics.heap.graph import HeapGraph
from forensics.heap.javascript import is_node
from forensics.heap.path import Path, Place

#: At most this many merged paths are looked at, the heaviest first; the rest is small.
GROUP_LIMIT = 80
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
_SDK_OWNER = re.compile(r"(aio)?(boto3|botocore)\.(client\.\w+|session\.\w+|resources\.factory\..+)$")


@dataclass
class Draft:
    """Groups of one retainer while they are collected."""

    path: str
    kind: str
    chain: tuple[str, ...]
    groups: list[Group] = field(default_factory=list)
    also: list[str] = field(default_factory=list)


def heaviest(graph: HeapGraph, found: Iterable[Group]) -> list[Group]:
    """The groups worth a path: single attribute values and request parameters are not."""
    worth = outstanding(graph, list(found))
    return sorted(worth, key=lambda group: -len(group))[:GROUP_LIMIT]


def resolve(graph: HeapGraph, group: Group) -> Draft | None:
    """The retainer of a group, by the best path to what holds it."""
    paths = graph.paths_to_roots(int(group.members[0]), limit=5)
    if not paths:
        return None
    if group.unreachable:
        return Draft(paths[0].retainer.path, "unreachable-cycle", (str(paths[0]),))
    paths = sorted(paths, key=_path_rank)
    best = paths[0].retainer
    # The same object under another name (an import) is no second holder.
    others = (path.retainer for path in paths[1:])
    also = [place.path for place in others if place.path != best.path and place.object != best.object]
    path, kind = _named(graph, best, paths[0])
    if kind == "task" and best.kind != "task":
        also.insert(0, best.path)
    return Draft(path, kind, (str(paths[0]),), also=list(dict.fromkeys(also)))


def by_retainer(graph: HeapGraph) -> dict[str, list[Group]]:
    """The groups of a snapshot by their retainers' paths; kept with the graph."""

    def compute() -> dict[str, list[Group]]:
        named: dict[str, list[Group]] = {}
        for group in heaviest(graph, groups(graph, *WHOLE_KINDS)):
            draft = resolve(graph, group)
            if draft is not None:
                named.setdefault(draft.path, []).append(group)
        return named

    return graph._once("forensics.rules.by retainer", compute)


def telling(kind: str) -> int:
    """The less, the more a retainer's kind says."""
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


def _module_of_function(graph: HeapGraph, function: int) -> str:
    """The module that a function was compiled in, empty where the heap does not tell."""
    modules = graph.modules()
    space = graph.variables().home(function)
    return modules.names.get(modules.namespaces.get(space, -1), "")


def _path_rank(path: Path) -> int:
    """What the program keeps comes before what a running call happens to hold."""
    return int(path.retainer.kind in ("frame-local", "native"))
