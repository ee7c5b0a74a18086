"""Paths as JavaScript people write them: ``api.js · responses.get('k1').Items``, ``closure onTick (bus.js:8) · out``.

Variables live in V8's contexts, one for each run of a function that is captured; that of a module's top level leads
to the native context. What V8 puts in between (hash tables, property arrays, hidden classes) has no piece.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind

from .compiled import frozen
from .edge import Edge
from .expression import Piece, Writer, subscript
from .names import code_row
from .path import PlaceKind

if TYPE_CHECKING:
    from .graph import HeapGraph

CONTEXT = "system / Context"
_NATIVE = "system / NativeContext"
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")
_TABLES = ("Map table", "Set table")
#: What V8 makes of the program itself, more of it the longer it runs: bytecode, machine code, shapes of objects.
MACHINERY = ("(compiled code)", "(object shape)")
_LIBRARY = re.compile(r"/node_modules/|^node:|^internal/")
_SUSPENDED = "parameters_and_registers"
_TIMERS = ("Timeout", "Immediate", "TimersList")
#: Costs of V8's own references, where they differ from the usual; 2 is a step that a person writes.
SLOT_COSTS = {
    "table": 0,
    "elements": 2,
    "properties": 2,
    "context": 4,
    "previous": 10,
    "extension": 10,
    "parameters_and_registers": 2,
    "function": 10,
    "value": 2,
    "exports": 2,
    "map": 60,
    "__proto__": 40,
    "shared": 60,
    "code": 60,
    "feedback_cell": 60,
    "scope_info": 60,
    "native_context": 60,
    "descriptors": 60,
    "transition": 60,
    "back_pointer": 60,
    "prototype": 60,
    "constructor": 60,
}
OTHER_SLOT = 8


def is_node(graph: HeapGraph) -> bool:
    """Whether this is a heap of V8."""
    return graph.meta.get("runtime") == "node"


def machinery(graph: HeapGraph) -> np.ndarray:
    """bool[n], read-only: ``MACHINERY`` and prototypes, which objects only borrow; none in a heap of Python."""

    def compute() -> np.ndarray:
        names = graph.type_names.to_pylist()
        found = np.array([name in MACHINERY for name in names] or [False])[graph.types]
        inherited = graph.slot_labels().get("__proto__")
        if is_node(graph) and inherited is not None:
            found[graph.targets[(graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, inherited)]] = True
        return frozen(found)

    return graph._once("javascript machinery", compute)


def is_library(file: str) -> bool:
    """Whether a script is Node's own or an installed package's."""
    return bool(_LIBRARY.search(file)) or not file.removeprefix("file://").startswith("/")


def short(graph: HeapGraph, file: str) -> str:
    """A script's path below the program's own folder."""
    folder = graph._once("javascript folder", lambda: _folder(graph))
    path = file.removeprefix("file://")
    return path.removeprefix(folder) if folder != "/" else path


def _folder(graph: HeapGraph) -> str:
    files = graph.code.column("file").unique().to_pylist()
    folders = {
        posixpath.dirname(file.removeprefix("file://")) for file in files if file and not is_library(file)
    }
    common = posixpath.commonpath(folders) if folders else "/"
    return common.rstrip("/") + "/"


def closures_of(graph: HeapGraph) -> dict[int, int]:
    """Context -> a closure that was made in it, the program's own before a library's."""

    def compute() -> dict[int, int]:
        wanted = graph.slot_labels().get("context")
        if wanted is None:
            return {}
        edges = np.flatnonzero((graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, wanted))
        sources, targets = graph.sources_of(edges), graph.targets[edges]
        closures = graph.types[sources] == graph.type_id("(closure)")
        return dict(zip(targets[closures][::-1].tolist(), sources[closures][::-1].tolist(), strict=True))

    return graph._once("javascript closures", compute)


def top_level(graph: HeapGraph, context: int) -> bool:
    """Whether a context is that of a module's top level, not of a function that ran."""
    before = _slot(graph, context, "previous")
    return (
        before < 0
        or graph.type_name(before) == _NATIVE
        or graph.type_name(before).startswith("system / Script")
    )


def place_of(graph: HeapGraph, closure: int) -> tuple[str, str, int]:
    """Name, file and line of a closure; ``("", "", 0)`` where V8 does not tell."""
    row = code_row(graph, closure)
    if row is None:
        return graph.text(closure) or "", "", 0
    file = row["file"] if row["file"] != "?" else ""
    return row["qualname"] or "", file, int(row["first_line"])


def closure_name(graph: HeapGraph, closure: int) -> str:
    """``onTick (bus.js:8)``."""
    name, file, line = place_of(graph, closure)
    where = f"{short(graph, file)}:{line}" if file else "?"
    return f"{name or 'anonymous'} ({where})"


def _slot(graph: HeapGraph, i: int, name: str) -> int:
    wanted = graph.slot_labels().get(name)
    if wanted is None:
        return -1
    here = slice(int(graph.offsets[i]), int(graph.offsets[i + 1]))
    found = np.flatnonzero((graph.kinds[here] == EdgeKind.SLOT) & np.isin(graph.labels[here], wanted))
    return int(graph.targets[here][found[0]]) if len(found) else -1


#: What V8 calls the list of its roots, where every path begins.
V8_ROOTS = "(root)"


class JavaScriptWriter(Writer):
    """Goes along one path in a heap of V8."""

    _own_before = False

    def _first(self) -> Piece:
        return Piece(V8_ROOTS, 0, "native", own=False, anew=True)

    def _root_name(self) -> str:
        return V8_ROOTS

    def _piece(self, edge: Edge, k: int, space: PlaceKind | None) -> list[Piece]:
        graph, at = self.graph, k + 1
        source_type = graph.type_name(edge.source)
        if edge.kind is EdgeKind.CLOSURE:
            return [self._variable(edge, k)]
        if edge.kind is EdgeKind.ATTRIBUTE:
            return [self._property(edge, k, source_type)]
        if edge.kind is EdgeKind.KEY:
            if source_type not in _TABLES:
                return [Piece(subscript(graph, edge), at)]
            text = graph.text(edge.label) if edge.label >= 0 else None
            return [Piece(f".get({_quoted(text)})" if text is not None else ".get(…)", at)]
        if edge.kind is EdgeKind.KEY_OBJECT:
            return [Piece(".keys()", at)]
        if edge.kind is EdgeKind.MEMBER:
            return [Piece(" ∋", at)]
        if edge.kind is EdgeKind.ITEM:
            return [Piece(f"[{edge.label}]", at)]
        if edge.kind is EdgeKind.SLOT and edge.label_text == _SUSPENDED:
            function = _slot(graph, edge.source, "function")
            name = closure_name(graph, function) if function >= 0 else "?"
            own = function >= 0 and not is_library(place_of(graph, function)[1])
            self._own_before = own
            return [Piece(f"async {name} · local", at, "task", own=own, anew=True)]
        if edge.source == 0 and graph.type_name(edge.target) in ("global", "Object / ", "global / "):
            return [Piece("globalThis", at, "module-variable", own=False, anew=True)]
        return []

    def _variable(self, edge: Edge, k: int) -> Piece:
        """A variable of a module or of a function that a closure captured."""
        graph = self.graph
        closure = self._closure_before(k)
        known = closures_of(graph).get(edge.source, -1)
        if top_level(graph, edge.source):
            shown = known if known >= 0 else closure
            _, file, _ = place_of(graph, shown) if shown >= 0 else ("", "", 0)
            own = bool(file) and not is_library(file)
            self._own_before = own
            lead = f"{short(graph, file)} · " if file else ""
            return Piece(f"{lead}{edge.label_text}", k + 1, "module-variable", own=own, anew=True)
        shown = closure if closure >= 0 else known
        _, file, _ = place_of(graph, shown) if shown >= 0 else ("", "", 0)
        own = bool(file) and not is_library(file)
        self._own_before = own
        name = closure_name(graph, shown) if shown >= 0 else "?"
        return Piece(f"closure {name} · {edge.label_text}", k + 1, "closure", own=own, anew=True)

    def _closure_before(self, k: int) -> int:
        """The closure through whose contexts the path came to the context at *k*, -1: it came another way."""
        while k > 0:
            kind = self.graph.type_name(int(self.objects[k]))
            if kind == "(closure)":
                return int(self.objects[k])
            if kind != CONTEXT:
                return -1
            k -= 1
        return -1

    def _property(self, edge: Edge, k: int, source_type: str) -> Piece:
        graph = self.graph
        label = edge.label_text or "…"
        text = f".{label}" if _IDENTIFIER.fullmatch(label) else f"[{_quoted(label)}]"
        if self.objects[0] == 0 and source_type.startswith("global"):
            return Piece(f"globalThis{text}", k + 1, "module-variable", own=True, anew=True)
        function = graph.text(edge.source) if source_type == "(closure)" else None
        if function:
            # An application of Express is a function with properties, held by the server it listens with.
            return Piece(f"{function}{text}", k + 1, "attribute", own=False, anew=True)
        own = source_type == "Object" and self._own_before
        if not own:
            row = code_row(self.graph, edge.source)
            own = row is not None and row["file"] != "?" and not is_library(row["file"])
        return Piece(text, k + 1, "attribute", own=own)


def retained_by(writer: Writer, pieces: list[Piece], chosen: int) -> PlaceKind:
    """The kind of a place, told also by what leads to it and what it leads to."""
    graph, objects = writer.graph, writer.objects
    piece = pieces[chosen]
    kind = piece.place or "native"
    types = [graph.type_name(int(i)) for i in objects.tolist()]
    before = types[max(0, piece.at - 8) : piece.at]
    labels = [graph.label_text(int(e)) for e in writer.references[: piece.at]][-8:]
    beyond = types[piece.at + 1 : piece.at + 7]
    if kind == "closure":
        if any(each in _TIMERS for each in before):
            return "callback"
        if "absoluteEntries" in labels or "relativeEntries" in labels:
            return "handler"
        if "_events" in labels:
            return "callback"
        return "closure"
    if kind in ("module-variable", "attribute") and "(closure)" in beyond and CONTEXT in beyond:
        return "callback"
    if types[piece.at].endswith("Map") or types[piece.at] == "Map":
        return "cache" if kind == "cache" else kind
    return kind


def reach_of(pieces: list[Piece], reach: int) -> int:
    """Where the retainer may be at most: the container, or a variable of the program's own that comes after it.

    Modules, listeners and timers stand in containers themselves; the variable behind them is what a person would edit.
    """
    own = [piece.at for piece in pieces if piece.anew and piece.own and piece.place is not None]
    return max([reach, *own])


def _quoted(text: str | None) -> str:
    shown = text or ""
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    escaped = shown.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    return f"'{escaped}'"
