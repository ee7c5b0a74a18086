"""A path written as a person would write it, and the place on it that a person would edit.

Pieces are written one for each reference that means something: ``orders.api`` ``.RESPONSES`` ``['k3']`` ``[0]``.
The interpreter's plumbing in between (``sys.modules``, ``__dict__``, cells, what ``lru_cache`` is made of) has no
piece. Locals and closures begin the expression anew: how their frame or function is reached says less than its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind, RootKind

from .captured import note
from .edge import Edge, edge_at
from .names import frame_name, frame_row, function_name, slot_target, task_name
from .path import Path, Place, PlaceKind

if TYPE_CHECKING:
    from .graph import HeapGraph

LRU_CACHE = "functools._lru_cache_wrapper"
_SUSPENDED = {"generator": "generator", "coroutine": "coroutine", "async_generator": "async generator"}
_QUEUES = (
    "queue.Queue",
    "queue.LifoQueue",
    "queue.PriorityQueue",
    "_queue.SimpleQueue",
    "asyncio.queues.Queue",
)
_THREAD_LOCAL = "_thread._local"
#: Objects that are nothing but a bag of names, whoever defined their class.
_BAGS = ("starlette.datastructures.State", "types.SimpleNamespace", "argparse.Namespace", _THREAD_LOCAL)
#: Dicts that such a bag keeps its names in.
_BAG_DICTS = {"starlette.datastructures.State": "_state"}
_CONTAINED = (EdgeKind.ITEM, EdgeKind.KEY, EdgeKind.MEMBER)
_WEAK_KEYS = ("weakref.ReferenceType", "weakref", "ReferenceType")
#: Longer paths are written with their middle left out: a linked list of a million is one long path.
_WRITTEN = 64
_FOLDED_SLOTS = ("__dict__", "__closure__", "tb_frame", "tb_next", "tb_lasti")
_V8_PLUMBING = ("elements", "properties", "table", "context", "map", "__proto__")


@dataclass
class Piece:
    """A part of an expression.

    ``at`` is the index on the path of the object it leads to. ``place`` is set where a person gave this a name;
    ``own`` where that person wrote the program (and not one of its libraries). ``anew`` begins the expression anew.
    """

    text: str
    at: int
    place: PlaceKind | None = None
    own: bool = True
    anew: bool = False


def write(
    graph: HeapGraph, objects: np.ndarray, references: np.ndarray, root: int, *, holder: bool = False
) -> Path:
    """A Path along these objects and references.

    ``root`` is the index of the root it begins with, -1 for garbage. With ``holder`` the object at the end is the
    container that holds much, and the retainer is its own name; otherwise the retainer is that of the largest
    container on the way.
    """
    from .javascript import JavaScriptWriter, is_node

    kind_of_writer = JavaScriptWriter if is_node(graph) else Writer
    writer = kind_of_writer(graph, objects, references, root)
    pieces = writer.pieces()
    place = _retainer(writer, pieces, holder)
    kind = RootKind(int(graph.root_kinds[root])).name.lower() if root >= 0 else "unreachable"
    expression = _text(pieces, len(pieces) - 1)
    return Path(expression, writer.full(), kind, place, objects, references, graph, note(graph, references))


def _text(pieces: list[Piece], last: int) -> str:
    first = max(k for k in range(last + 1) if pieces[k].anew)
    return "".join(piece.text for piece in pieces[first : last + 1])


class Writer:
    """Goes along one path; ``space`` says what the keys of the dict it stands at are (names of a module, …)."""

    def __init__(self, graph: HeapGraph, objects: np.ndarray, references: np.ndarray, root: int) -> None:
        self.graph = graph
        self.modules = graph.modules()
        self.objects = objects
        self.references = references
        self.root = root
        self.space: PlaceKind | None = None

    def pieces(self) -> list[Piece]:
        """The parts of the expression, root first."""
        pieces = [self._first()]
        count = len(self.references)
        for k in range(count):
            if count > 2 * _WRITTEN and k == _WRITTEN:
                pieces.append(Piece(f" ⋯ {count - 2 * _WRITTEN:,} steps ⋯ ", k))
            if _WRITTEN <= k < count - _WRITTEN:
                continue
            edge = edge_at(self.graph, int(self.references[k]), int(self.objects[k]))
            space, self.space = self.space, None
            pieces.extend(self._piece(edge, k, space))
        return pieces

    def full(self) -> str:
        """Every reference written out."""
        parts = [self._root_name()]
        count = len(self.references)
        for k in range(count):
            if _WRITTEN <= k < count - _WRITTEN:
                continue
            edge = edge_at(self.graph, int(self.references[k]), int(self.objects[k]))
            if edge.kind in _CONTAINED:
                parts.append(subscript(self.graph, edge))
            elif edge.label_text:
                parts.append(f".{edge.label_text}")
            else:
                parts.append(f" → {self.graph.type_name(edge.target)}")
        return "".join(parts)

    # -- where it begins ---------------------------------------------------------------------------------------

    def _root_name(self) -> str:
        if self.root < 0:
            return f"unreachable {self.graph.type_name(int(self.objects[0]))}"
        name = int(self.graph.root_names[self.root])
        if name >= 0:
            return str(self.graph.strings[name].as_py())
        return f"{self.graph.type_name(int(self.objects[0]))} #{int(self.objects[0])}"

    def _first(self) -> Piece:
        graph, first = self.graph, int(self.objects[0])
        if self.root < 0:
            return Piece(self._root_name(), 0, "unreachable-cycle", anew=True)
        kind = int(graph.root_kinds[self.root])
        name = self._root_name()
        if kind == RootKind.FRAME or frame_row(graph, first) is not None:
            return Piece(frame_name(graph, first), 0, "frame-local", anew=True)
        if kind in (RootKind.BUILTINS, RootKind.SYS):
            self.space = "module-variable" if graph.type_name(first) == "dict" else None
            return Piece(name, 0, "module-variable", own=False, anew=True)
        if kind == RootKind.THREAD:
            return Piece(f"thread state of {name}", 0, "thread-local", own=False, anew=True)
        if kind == RootKind.CONTEXT:
            return Piece(f"context of {name}", 0, "contextvar", own=False, anew=True)
        if kind == RootKind.NATIVE:
            return Piece(f"native code → {graph.type_name(first)}", 0, "native", own=False, anew=True)
        if kind == RootKind.MODULES:
            return Piece(name, 0, "module-variable", own=False, anew=True)
        return Piece(name, 0, "native", anew=True)

    # -- one reference -------------------------------------------------------------------------------------------

    def _piece(self, edge: Edge, k: int, space: PlaceKind | None) -> list[Piece]:
        graph = self.graph
        kind, label, at = edge.kind, edge.label_text, k + 1
        source_type = graph.type_name(edge.source)
        if edge.source == self.modules.table and kind is EdgeKind.KEY:
            own = self.modules.origins.get(edge.target) == "application"
            return [Piece(label, at, "module-variable", own=own, anew=True)]
        if kind is EdgeKind.SLOT and label == "__dict__":
            self.space = self._space_of(edge.source, source_type)
            return []
        if space is not None and kind is EdgeKind.KEY:
            return [self._name(label, at, space, self._named_by_us(k, source_type, label))]
        if kind is EdgeKind.KEY and self._is_thread_table(edge):
            self.space = "thread-local"
            return []
        if kind is EdgeKind.LOCAL:
            return [self._local(edge, k)]
        if kind is EdgeKind.CLOSURE:
            return [self._closure(edge.source, label, at)]
        if kind is EdgeKind.ITEM and graph.type_name(edge.target) == "cell" and k:
            variable = self._free_variable(int(self.objects[k - 1]), edge.target)
            if variable:
                return [self._closure(int(self.objects[k - 1]), variable, at)]
        if source_type == "cell":
            return []
        if source_type == LRU_CACHE:
            return self._cached(edge, at)
        if source_type == "functools._lru_list_elem":
            return []
        if kind is EdgeKind.ATTRIBUTE or kind is EdgeKind.SLOT:
            return self._attribute(edge, k, source_type)
        if kind in _CONTAINED:
            return [Piece(subscript(graph, edge), at)]
        if kind is EdgeKind.KEY_OBJECT:
            return [Piece(f".keys() → {graph.preview(edge.target)}", at)]
        if kind is EdgeKind.CODE_CONSTANT:
            return [Piece(f".co_consts[{label}]", at)]
        return self._internal(edge, k, source_type)

    def _space_of(self, owner: int, owner_type: str) -> PlaceKind:
        if owner in self.modules.names or owner_type == "module":
            return "module-variable"
        a_class = owner_type == "type" or slot_target(self.graph, owner, "__mro__") >= 0
        return "class-attribute" if a_class else "attribute"

    def _name(self, label: str, at: int, kind: PlaceKind, own: bool) -> Piece:
        return Piece(f".{label}" if label.isidentifier() else f"[{label!r}]", at, kind, own=own)

    def _named_by_us(self, k: int, source_type: str, label: str) -> bool:
        """Whether the program's own code gave this name: judged by whose object the namespace belongs to."""
        owner = int(self.objects[k])
        if source_type == "dict" and k and self.space is None:
            owner = int(self.objects[k - 1])
        if owner in self.modules.origins:
            return self.modules.origins[owner] == "application"
        if slot_target(self.graph, owner, "__mro__") >= 0:
            # A class belongs to the module that its methods were compiled in, or that names it.
            variables = self.graph.variables()
            module = self.modules.namespaces.get(variables.home(owner))
            known = variables.best(owner) if module is None else None
            module = known[0] if known is not None else module
            return module is not None and self.modules.origins[module] == "application"
        owner_type = self.graph.type_name(owner)
        return owner_type in _BAGS or self.modules.origin_of_type(owner_type) == "application"

    def _is_thread_table(self, edge: Edge) -> bool:
        """The dict in a ``threading.local`` that has one namespace for each thread, by weak reference."""
        return (
            edge.label >= 0
            and self.graph.type_name(edge.label) in _WEAK_KEYS
            and self.graph.type_name(edge.target) == "dict"
        )

    def _local(self, edge: Edge, k: int) -> Piece:
        graph = self.graph
        source_type = graph.type_name(edge.source)
        if source_type in _SUSPENDED:
            name = f"{function_name(graph, edge.source)}()"
            task = self._task_before(k)
            if task >= 0:
                return Piece(
                    f"{task_name(graph, task)} {name} local {edge.label_text}", k + 1, "task", anew=True
                )
            kind: PlaceKind = "task" if source_type == "coroutine" else "generator"
            return Piece(f"{_SUSPENDED[source_type]} {name} local {edge.label_text}", k + 1, kind, anew=True)
        running = k == 0 or frame_row(graph, edge.source) is not None
        text = f"{frame_name(graph, edge.source)} local {edge.label_text}"
        if running:
            return Piece(text, k + 1, "frame-local", anew=True)
        # A frame that has ended lives on in a traceback: what holds the exception is the point.
        return Piece(f" · {text}", k + 1)

    def _closure(self, function: int, variable: str, at: int) -> Piece:
        text = f"closure of {function_name(self.graph, function)}: {variable}"
        return Piece(text, at, "closure", anew=True)

    def _free_variable(self, function: int, cell: int) -> str:
        """The name that a function knows a cell of its ``__closure__`` by."""
        for e in self.graph.references_between(function, cell).tolist():
            if self.graph.kinds[e] == EdgeKind.CLOSURE:
                return self.graph.label_text(e)
        return ""

    def _task_before(self, k: int) -> int:
        """The task that runs the coroutine at *k*, through the coroutines that await one another; -1: none."""
        while k >= 0:
            name = self.graph.type_name(int(self.objects[k]))
            if name.rpartition(".")[2] == "Task":
                return int(self.objects[k])
            if name not in _SUSPENDED and "coroutine" not in name:
                return -1
            k -= 1
        return -1

    def _cached(self, edge: Edge, at: int) -> list[Piece]:
        # The place is the wrapper, not the dict in it: what is cached hangs on both, and goes with cache_clear().
        if edge.kind is EdgeKind.SLOT and edge.label_text == "cache":
            return [Piece(".cache", at - 1, "cache")]
        if edge.kind is EdgeKind.INTERNAL:
            if (
                self.graph.type_name(edge.target) == "dict"
                and slot_target(self.graph, edge.source, "cache") < 0
            ):
                return [Piece(".cache", at - 1, "cache")]
            return [Piece(".cache", at - 1, "cache"), Piece("[…]", at)]
        return [Piece(f".{edge.label_text}", at, "attribute")]

    def _attribute(self, edge: Edge, k: int, source_type: str) -> list[Piece]:
        label, at = edge.label_text, k + 1
        if label in _FOLDED_SLOTS:
            return []
        if _BAG_DICTS.get(source_type) == label:
            self.space = "attribute"
            return []
        if source_type == "function" and label in ("__defaults__", "__kwdefaults__"):
            return [Piece(f".{label}", at, "function-default")]
        if source_type in _SUSPENDED and label in (
            "gi_frame",
            "cr_frame",
            "ag_frame",
            "cr_await",
            "gi_yieldfrom",
        ):
            return []
        if label.startswith("__") and label.endswith("__"):
            return [Piece(f".{label}", at)]
        owner = self.modules.origin_of_type(source_type) == "application" or source_type in _BAGS
        kind: PlaceKind = "attribute"
        if source_type == _THREAD_LOCAL:
            kind = "thread-local"
        elif self._space_of(edge.source, source_type) == "class-attribute":
            kind = "class-attribute"
        return [self._name(label, at, kind, owner)]

    def _internal(self, edge: Edge, k: int, source_type: str) -> list[Piece]:
        target_type = self.graph.type_name(edge.target)
        at = k + 1
        if target_type in _SUSPENDED and (source_type.endswith("Task") or source_type in _SUSPENDED):
            return []
        if edge.label_text in _V8_PLUMBING:
            return []
        if target_type == "dict" and self._leads_to_thread_table(k + 1):
            return []
        if "hamt" in source_type or "hamt" in target_type:
            variable = self._context_variable(edge)
            return (
                []
                if variable is None
                else [Piece(f"context variable {variable}", at, "contextvar", anew=True)]
            )
        if edge.label_text:
            return [Piece(f".{edge.label_text}", at)]
        return [Piece(f" → {target_type}", at)]

    def _leads_to_thread_table(self, k: int) -> bool:
        if k >= len(self.references):
            return False
        following = edge_at(self.graph, int(self.references[k]), int(self.objects[k]))
        return following.kind is EdgeKind.KEY and self._is_thread_table(following)

    def _context_variable(self, edge: Edge) -> str | None:
        """The variable whose value this reference of a context's hash trie holds; key and value are neighbours."""
        if "hamt" in self.graph.type_name(edge.target):
            return None
        for near in (edge.index + 1, edge.index - 1):
            if self.graph.offsets[edge.source] <= near < self.graph.offsets[edge.source + 1]:
                key = int(self.graph.targets[near])
                if self.graph.type_name(key).rpartition(".")[2] == "ContextVar":
                    known = self.graph.variables().best(key)
                    if known is None:
                        return "ContextVar"
                    return f"{self.modules.names[known[0]]}.{self.graph.label_text(known[2])}"
        return "value"


def subscript(graph: HeapGraph, edge: Edge) -> str:
    """``['k3']``, ``[3]``, ``[…]``: how the element at the end of this reference is asked for."""
    if edge.kind is EdgeKind.MEMBER:
        return "{…}"
    if edge.kind is EdgeKind.ITEM:
        return f"[{edge.label}]" if edge.label >= 0 else "[…]"
    if edge.label < 0:
        return "[…]"
    text = graph.text(edge.label)
    if graph.type_name(edge.label) == "str":
        return "['…']" if text is None else f"[{text if len(text) <= 80 else text[:79] + '…'!r}]"
    return "[…]" if text is None else f"[{text}]"


# -- the place to edit -----------------------------------------------------------------------------------------


def _retainer(writer: Writer, pieces: list[Piece], holder: bool) -> Place:
    from .javascript import is_node, reach_of, retained_by

    objects = writer.objects
    reach = len(objects) - 1 if holder else _largest_container(writer)
    javascript = is_node(writer.graph)
    if javascript:
        reach = reach_of(pieces, reach)
    upto = [k for k, piece in enumerate(pieces) if piece.at <= reach] or [0]
    named = [k for k in upto if pieces[k].place is not None]
    if javascript:
        anew = [k for k in named if pieces[k].anew and pieces[k].own]
        named = [k for k in named if not anew or k >= anew[-1]]
    chosen = _last_of_ours(pieces, named) if named else upto[-1]
    piece = pieces[chosen]
    kind = retained_by(writer, pieces, chosen) if javascript else _kind(writer, pieces, chosen)
    return Place(_text(pieces, chosen), kind, int(objects[piece.at]))


def _last_of_ours(pieces: list[Piece], named: list[int]) -> int:
    """The last name the program gave; names of a library's own insides count only as far as they are public."""
    last = named[0]
    for k in named:
        private = pieces[k].text.startswith("._")
        if not pieces[k].own and private and any(pieces[j].own for j in named if j < k):
            break
        last = k
    else:
        return last
    ours = [k for k in named if k <= last and pieces[k].own]
    return ours[-1] if ours else last


def _largest_container(writer: Writer) -> int:
    """The index on the path of the container with most elements that the path leads through; the end if none."""
    graph = writer.graph
    if not len(writer.references):
        return 0
    contained = np.isin(graph.kinds[writer.references], _CONTAINED)
    sources = writer.objects[:-1]
    spaces = np.isin(sources, [writer.modules.table, *writer.modules.namespaces])
    after_dict = np.zeros(len(sources), bool)
    dicts = graph.slot_labels().get("__dict__")
    if dicts is not None:
        slots = (graph.kinds[writer.references] == EdgeKind.SLOT) & np.isin(
            graph.labels[writer.references], dicts
        )
        after_dict[1:] = slots[:-1]
    contained &= ~(spaces | after_dict)
    if not contained.any():
        return len(writer.objects) - 1
    counts = np.where(contained, graph.offsets[sources + 1] - graph.offsets[sources], -1)
    return int(np.argmax(counts))


def _kind(writer: Writer, pieces: list[Piece], chosen: int) -> PlaceKind:
    """The kind of a place, told also by what it holds: a queue, an exception's traceback, callbacks."""
    graph, objects = writer.graph, writer.objects
    piece = pieces[chosen]
    kind = piece.place or "native"
    if kind not in ("module-variable", "attribute", "class-attribute"):
        return kind
    place = int(objects[piece.at])
    if graph.type_name(place) in _QUEUES:
        return "queue"
    if piece.at and graph.type_name(int(objects[piece.at - 1])) in _QUEUES:
        return "queue"
    beyond = [int(e) for e in writer.references[piece.at : piece.at + _WRITTEN]]
    labels = [graph.label_text(e) for e in beyond]
    if "__traceback__" in labels:
        return "exception"
    if any(graph.kinds[e] == EdgeKind.CLOSURE for e in beyond) or "__self__" in labels:
        return "callback"
    owner = graph.type_name(int(objects[max(piece.at - 1, 0)]))
    owner_before = graph.type_name(int(objects[max(piece.at - 2, 0)]))
    if kind == "attribute" and "Handler" in (owner if owner != "dict" else owner_before).rpartition(".")[2]:
        return "handler"
    return kind
