"""Find an object by the expression a person writes: ``orders.api.RESPONSES['k3'][0]['Items'][3]``."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from forensics.agent.stream import EdgeKind
from forensics.errors import GraphError

from .edge import children_by_key
from .names import slot_target

if TYPE_CHECKING:
    from .graph import HeapGraph

_PART = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<key>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\[\]]*)\]")


def find(graph: HeapGraph, expression: str) -> int:
    """The object an expression leads to; only keys whose text was kept can be found.

    Raises
    ------
    GraphError : the expression cannot be read, or leads nowhere.
    """
    return find_path(graph, expression)[-1]


def find_path(graph: HeapGraph, expression: str) -> list[int]:
    """The objects an expression leads through, the module first, plumbing left out."""
    name, module, rest = _module(graph, expression)
    at, written = module, name
    found = [module]
    position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            raise GraphError(
                f"{expression!r} cannot be read from {rest[position:]!r} on.",
                advice="Write names with dots, keys and positions in brackets: module.NAME['key'][3].attribute.",
                expression=expression,
            )
        following = _step(graph, at, part)
        if following < 0:
            raise GraphError(
                f"{expression!r} leads nowhere: {written} is {graph.preview(at)} and has no {part.group()}.",
                advice=_known(graph, at),
                expression=expression,
                object=at,
            )
        at = following
        found.append(at)
        written += part.group()
        position = part.end()
    return found


def _module(graph: HeapGraph, expression: str) -> tuple[str, int, str]:
    names = {name: module for module, name in graph.modules().names.items()}
    fitting = [n for n in names if expression == n or expression.startswith((f"{n}.", f"{n}["))]
    if not fitting:
        raise GraphError(
            f"{expression!r} does not begin with a module of this process.",
            advice="Begin with the name of a module: orders.api.RESPONSES.",
            expression=expression,
        )
    name = max(fitting, key=len)
    return name, names[name], expression[len(name) :]


def _step(graph: HeapGraph, at: int, part: re.Match[str]) -> int:
    if part["name"] is not None:
        return children_by_key(graph, at).get(part["name"], -1)
    key = part["key"]
    if key.isdecimal():
        begin, end = int(graph.offsets[at]), int(graph.offsets[at + 1])
        items = graph.kinds[begin:end] == EdgeKind.ITEM
        hits = items & (graph.labels[begin:end] == int(key))
        if hits.any():
            return int(graph.targets[begin + hits.argmax()])
    wanted = ast.literal_eval(key) if key[:1] in "'\"" else key
    begin, end = int(graph.offsets[at]), int(graph.offsets[at + 1])
    for e in range(begin, end):
        if (
            graph.kinds[e] == EdgeKind.KEY
            and graph.labels[e] >= 0
            and graph.text(int(graph.labels[e])) == wanted
        ):
            return int(graph.targets[e])
    return -1


def _known(graph: HeapGraph, at: int) -> str | None:
    if slot_target(graph, at, "__dict__") < 0 and graph.offsets[at + 1] - graph.offsets[at] > 10_000:
        return None
    names = sorted(children_by_key(graph, at))[:8]
    return f"It has {', '.join(names)}." if names else None
