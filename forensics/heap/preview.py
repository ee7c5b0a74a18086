"""What an object looks like in one line, as far as its value was kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.agent.stream import EdgeKind

if TYPE_CHECKING:
    from .graph import HeapGraph

_LONGEST = 48
_KEYS_SHOWN = 4
_NOUNS = {
    "str": ("character", "characters"),
    "bytes": ("byte", "bytes"),
    "bytearray": ("byte", "bytes"),
    "dict": ("key", "keys"),
}
_CONTAINERS = ("list", "tuple", "set", "frozenset", "collections.deque", "collections.OrderedDict")


def preview(graph: HeapGraph, i: int) -> str:
    """A short text for object *i*; it may hold anything a heap holds, so escape it where it is shown."""
    kind = graph.type_name(i)
    text = graph.text(i)
    if text is not None:
        shortened = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
        return repr(shortened) if kind in ("str", "bytes", "bytearray") else shortened
    if kind == "dict":
        return _dict(graph, i)
    length = int(graph.lengths[i])
    if kind in _NOUNS or kind in _CONTAINERS:
        one, many = _NOUNS.get(kind, ("element", "elements"))
        return f"{kind} of {length:,} {one if length == 1 else many}"
    if kind in ("NoneType", "ellipsis", "NotImplementedType"):
        return {"NoneType": "None", "ellipsis": "Ellipsis"}.get(kind, "NotImplemented")
    name = named(graph, i)
    return f"{kind} {name}" if name else kind


def named(graph: HeapGraph, i: int) -> str | None:
    """The name that a function, class, module, code object or frame goes by, where it was kept."""
    for edge in graph.edges_of(i):
        if edge.kind is EdgeKind.SLOT and edge.label_text in ("__qualname__", "co_qualname", "co_name"):
            return graph.text(edge.target)
    return None


def _dict(graph: HeapGraph, i: int) -> str:
    shown: list[str] = []
    for edge in graph.edges_of(i):
        if edge.kind is EdgeKind.KEY:
            if len(shown) == _KEYS_SHOWN:
                shown.append("…")
                break
            key = graph.text(edge.label) if edge.label >= 0 else None
            shown.append("?" if key is None else key[:_LONGEST])
    return f"dict of {int(graph.lengths[i]):,} {{{', '.join(shown)}}}" if shown else "dict, empty"
