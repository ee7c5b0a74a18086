"""HeapGraph: one snapshot of a heap as plain arrays, the same model for every runtime that has objects.

Objects are numbered 0…n-1 in the order of the arrays; ``targets[offsets[i]:offsets[i + 1]]`` are the objects
that object *i* refers to (compressed sparse rows). Weak references stand among them and hold nothing.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pyarrow as pa

from forensics.agent.stream import EdgeKind, ObjectFlag, RootKind

from . import checks, columns
from .compiled import frozen
from .edge import Edge, edge_at, label_text
from .reach import Incoming

if TYPE_CHECKING:
    from .captured import UnusedVariables
    from .census import Census
    from .dominator_tree import DominatorTree
    from .garbage import Garbage
    from .holders import Holders
    from .merged import PathTree
    from .modules import Modules
    from .nearest import Nearest
    from .path import Path
    from .query import QueryResult
    from .results import Results
    from .shapes import Shapes
    from .variables import Variables
    from .waste import Waste
    from .what_if import Cut, WhatIf

__all__ = ["Edge", "EdgeKind", "HeapGraph", "ObjectFlag", "RootKind"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
class HeapGraph:
    """An object graph; arrays may be read-only views of a memory map. They are checked once, when it is made.

    Attributes
    ----------
    offsets : int64[n + 1]
    targets : int32[m]
    shallow_sizes : int64[n], bytes
    root_objects : int32[k]
    kinds : uint8[m], ``EdgeKind``; a WEAK edge holds nothing
    labels : int32[m]; by kind an index into ``strings`` (ATTRIBUTE, LOCAL, CLOSURE, SLOT, INTERNAL; -1: none),
        the **object** that is the key (KEY), or a position (ITEM, MEMBER, CODE_CONSTANT)
    addresses : uint64[n]; in V8 the object's id
    types : int32[n], index into ``type_names``
    flags : uint16[n], ``ObjectFlag``
    lengths, capacities : int64[n], int32[n]: elements (or characters) in use and allocated
    texts : int32[n], index into ``strings`` of the value where it was kept, -1 where masked or without one
    value_hashes : uint64[n], keyed hash of the value (equality within one capture); 0: no value
    value_classes : uint16[n], character classes of a masked value, see ``forensics.capture.masking``
    type_names, strings : pyarrow string arrays
    root_kinds, root_names : uint8[k], int32[k] (index into ``strings``)
    frames, code : pyarrow tables (object, thread_id, thread_name, depth, function, file, line) and
        (object, qualname, file, first_line)
    meta : runtime, version, pid, time of the snapshot, values (masked, full, none), memory_limit
    mappings : the files that the arrays are views of, if any
    unused : pyarrow table (reference, function, file, line): captured variables that no living function uses, by their
        CLOSURE references, ascending, with the function whose variables they are; empty where nothing tells

    Raises
    ------
    GraphError : arrays that do not fit together, indices out of range, negative sizes, no root.
    """

    offsets: np.ndarray
    targets: np.ndarray
    shallow_sizes: np.ndarray
    root_objects: np.ndarray
    kinds: np.ndarray
    labels: np.ndarray
    addresses: np.ndarray
    types: np.ndarray
    flags: np.ndarray
    lengths: np.ndarray
    capacities: np.ndarray
    texts: np.ndarray
    value_hashes: np.ndarray
    value_classes: np.ndarray
    type_names: pa.Array
    strings: pa.Array
    root_kinds: np.ndarray
    root_names: np.ndarray
    frames: pa.Table
    code: pa.Table
    meta: Mapping[str, Any] = field(default_factory=dict)
    mappings: tuple[mmap.mmap, ...] = ()
    unused: pa.Table = field(default_factory=columns.unused)
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        checks.check(self)
        for each in fields(self):
            array = getattr(self, each.name)
            # A column that was not given is one number repeated without taking memory: it stays as it is.
            if isinstance(array, np.ndarray) and not (array.size > 1 and array.strides == (0,)):
                object.__setattr__(self, each.name, frozen(array))

    @classmethod
    def from_arrays(
        cls,
        offsets: Any,
        targets: Any,
        sizes: Any,
        roots: Any,
        *,
        kinds: Any = None,
        labels: Any = None,
        addresses: Any = None,
        types: Any = None,
        type_names: Sequence[str] | pa.Array = ("object",),
        strings: Sequence[str] | pa.Array = (),
        flags: Any = None,
        lengths: Any = None,
        capacities: Any = None,
        texts: Any = None,
        value_hashes: Any = None,
        value_classes: Any = None,
        root_kinds: Any = None,
        root_names: Any = None,
        frames: pa.Table | None = None,
        code: pa.Table | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> HeapGraph:
        """A graph of arrays (or lists) of whole numbers; only the first four are needed.

        Parameters
        ----------
        offsets, targets, sizes, roots : int64[n + 1], int32[m], int64[n] bytes, int32[k]; kept as views where
            they have these types already
        kinds … meta : as the attributes of the class. What is left out takes no memory: references are INTERNAL
            and nameless, objects have the first type, the address 0 and no value

        Raises
        ------
        GraphError : see the class.
        """
        offsets = checks.integers("offsets", offsets, np.int64)
        targets = checks.integers("targets", targets, np.int32)
        sizes = checks.integers("sizes", sizes, np.int64)
        roots = checks.integers("roots", roots, np.int32)
        n, m, k = len(sizes), len(targets), len(roots)

        def column(
            name: str, values: Any, dtype: type[np.integer[Any]], length: int, absent: int
        ) -> np.ndarray:
            if values is None:
                return np.broadcast_to(dtype(absent), length)
            return checks.integers(name, values, dtype)

        return cls(
            offsets=offsets,
            targets=targets,
            shallow_sizes=sizes,
            root_objects=roots,
            kinds=column("kinds", kinds, np.uint8, m, EdgeKind.INTERNAL),
            labels=column("labels", labels, np.int32, m, -1),
            addresses=column("addresses", addresses, np.uint64, n, 0),
            types=column("types", types, np.int32, n, 0),
            flags=column("flags", flags, np.uint16, n, 0),
            lengths=column("lengths", lengths, np.int64, n, 0),
            capacities=column("capacities", capacities, np.int32, n, 0),
            texts=column("texts", texts, np.int32, n, -1),
            value_hashes=column("value_hashes", value_hashes, np.uint64, n, 0),
            value_classes=column("value_classes", value_classes, np.uint16, n, 0),
            type_names=checks.texts("type_names", type_names),
            strings=checks.texts("strings", strings),
            root_kinds=column("root_kinds", root_kinds, np.uint8, k, RootKind.OTHER),
            root_names=column("root_names", root_names, np.int32, k, -1),
            frames=columns.frames() if frames is None else frames,
            code=columns.code() if code is None else code,
            meta=meta or {},
        )

    # -- size and words ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.shallow_sizes)

    def __repr__(self) -> str:
        kind = f"{self.meta['runtime']}, " if "runtime" in self.meta else ""
        return (
            f"HeapGraph({kind}{len(self):,} objects, {self.n_references:,} references, "
            f"{len(self.root_objects):,} roots, {int(self.shallow_sizes.sum()):,} bytes)"
        )

    def _repr_html_(self) -> str:
        from .show import graph_html

        return graph_html(self)

    @property
    def n_references(self) -> int:
        """How many references there are, weak ones included."""
        return len(self.targets)

    def type_name(self, i: int) -> str:
        """``module.qualname`` of the type of object *i*; builtins without their module."""
        return str(self.type_names[int(self.types[checks.object_id(self, i)])].as_py())

    def type_id(self, name: str) -> int:
        """The index of a type in ``type_names``, -1 where no object of this graph can have it."""
        names = self._once("type_ids", lambda: {n: i for i, n in enumerate(self.type_names.to_pylist())})
        return int(names.get(name, -1))

    def objects_of_type(self, name: str) -> np.ndarray:
        """The objects of exactly this type, ascending; int32, empty where there are none."""
        wanted = np.flatnonzero(np.asarray(self.type_names.to_pylist(), dtype=object) == name)
        if not wanted.size:
            return np.empty(0, np.int32)
        return np.flatnonzero(np.isin(self.types, wanted)).astype(np.int32)

    def text(self, i: int) -> str | None:
        """The value of object *i* (text, decimal digits, …) where it was kept, else None."""
        index = int(self.texts[checks.object_id(self, i)])
        return None if index < 0 else str(self.strings[index].as_py())

    def preview(self, i: int) -> str:
        """What a person needs to see of object *i* in a line: its value, its keys, or its type and size."""
        from .preview import preview

        return preview(self, checks.object_id(self, i))

    # -- references ----------------------------------------------------------------------------------------

    def edges_of(self, i: int) -> Iterator[Edge]:
        """The references of object *i*, one at a time (a list of a million stays an array on this side)."""
        i = checks.object_id(self, i)
        for e in range(int(self.offsets[i]), int(self.offsets[i + 1])):
            yield edge_at(self, e, i)

    def label_text(self, edge: Edge | int) -> str:
        """What a reference is called: an attribute's name, a key's text, a position; empty if it has no name."""
        return edge.label_text if isinstance(edge, Edge) else label_text(self, int(edge))

    def children_by_key(self, i: int) -> dict[str, int]:
        """What a dict holds by its keys, an instance by its attributes and slots: text of the key -> object.

        An instance's ``__dict__`` is looked into. Keys that are not text are written as their preview.
        """
        from .edge import children_by_key

        return children_by_key(self, checks.object_id(self, i))

    def incoming(self) -> Incoming:
        """The references by target; int64[n + 1], int32[m], int64[m] more memory, computed once."""
        from .reach import invert

        return self._once("incoming", lambda: Incoming(*map(frozen, invert(self.offsets, self.targets))))

    # -- what holds what -----------------------------------------------------------------------------------

    def reachable(self) -> np.ndarray:
        """bool[n], read-only: alive from a root without weak references."""
        return self._once("reachable", lambda: frozen(self.alive_without()))

    def alive_without(self, objects: Any = (), references: Any = ()) -> np.ndarray:
        """bool[n], new: what stays alive once these objects and these references (indices) are gone."""
        from .reach import reach

        blocked = np.unique(checks.object_ids(self, objects)) if len(objects) else np.empty(0, np.int32)
        cut = np.unique(np.asarray(references, dtype=np.int64))
        return reach(
            self.offsets, self.targets, self.strong_kinds(), self.root_objects, frozen(blocked), frozen(cut)
        )

    def strong_kinds(self) -> np.ndarray:
        """``kinds`` where some reference is weak, else an empty array: compiled loops then need not look."""

        def compute() -> np.ndarray:
            absent = self.kinds.strides == (0,)
            weak = self.kinds[:1] == EdgeKind.WEAK if absent else self.kinds == EdgeKind.WEAK
            return frozen(self.kinds if weak.any() else np.empty(0, np.uint8))

        return self._once("strong_kinds", compute)

    def dominator_tree(self) -> DominatorTree:
        """Who is the last one that holds whom, as a tree."""
        from .dominator_tree import DominatorTree

        n = len(self)
        limits = {
            "immediate": (np.int32, n, -2, n),
            "order": (np.int32, None, 0, n),
            "retained_sizes": (np.int64, n, 0, 1 << 62),
        }
        return self._kept("dominator_tree", limits, lambda: DominatorTree.of(self), DominatorTree)

    def immediate_dominators(self) -> np.ndarray:
        """int32[n], read-only; -1: dominated by the virtual root alone, -2: unreachable."""
        return self.dominator_tree().immediate

    def retained_sizes(self) -> np.ndarray:
        """int64[n], read-only, bytes freed if the object went; 0 where it is unreachable."""
        return self.dominator_tree().retained_sizes

    def retained_size_of(self, ids: int | Iterable[int]) -> int:
        """Bytes freed if all of these objects went together: what is reached from no root without them.

        More than the sum of their retained sizes where they share what nobody else has; each is counted once.
        """
        from .reach import bytes_of

        ids = checks.object_ids(self, ids)
        if len(ids) == 1:
            return int(self.retained_sizes()[ids[0]])
        alive = self.alive_without(ids)
        return int(self.live_bytes() - bytes_of(self.shallow_sizes, alive))

    def live_bytes(self) -> int:
        """Bytes of everything that is alive."""
        from .reach import bytes_of

        return int(self._once("live_bytes", lambda: bytes_of(self.shallow_sizes, self.reachable())))

    def paths_to_roots(self, i: int, limit: int = 5) -> list[Path]:
        """The shortest path from a root to object *i*, and up to ``limit`` different ones."""
        from .paths import paths_to_roots

        return paths_to_roots(self, checks.object_id(self, i), limit)

    def nearest(self) -> Nearest:
        """For every object the way from a root that a person would take."""
        from .nearest import Nearest

        n, k = len(self), len(self.root_objects)
        limits = {
            "cost": (np.int32, n, -1, 1 << 31),
            "parent": (np.int32, n, -1, n),
            "edge": (np.int64, n, -1, self.n_references),
            "root": (np.int32, n, -1, k),
        }
        return self._kept("nearest", limits, lambda: Nearest.of(self), Nearest)

    def garbage(self) -> Garbage:
        """What no root reaches, by the cycles that hold it."""
        from .garbage import Garbage

        return self._once("garbage", lambda: Garbage.of(self))

    def holders(self, limit: int = 20, min_share: float = 0.01) -> Holders:
        """The containers whose population makes up the heap, largest first, with who else holds the same."""
        from .holders import Holders, holders

        def compute() -> Holders:
            kept = self.results()
            name = f"holders-{limit}-{min_share:g}"
            record = kept.load_record(name) if kept else None
            if record is not None:
                return Holders.from_dict(record)
            found = holders(self, limit, min_share)
            self.release_pages()  # the search went through all of them
            if kept:
                kept.save_record(name, found.to_dict())
            return found

        return self._once(f"holders {limit} {min_share}", compute)

    def merged_paths(self, ids: Any) -> PathTree:
        """The nearest paths of these objects laid over one another, with counts and bytes for each part."""
        from .merged import merged_paths

        return merged_paths(self, ids)

    def census(self, by: Literal["type", "shape"] = "type") -> Census:
        """Objects, shallow and retained bytes by type, or by shape (dicts with the same keys are one)."""
        from .census import census

        return self._once(f"census {by}", lambda: census(self, by))

    def unused_variables(self) -> UnusedVariables:
        """Captured variables that no living function uses and that alone keep something, most bytes first.

        None where the runtime does not tell. V8 of 2026 does: a closure that lives long keeps every variable that its
        dead siblings captured.
        """
        from .captured import unused_variables

        return self._once("unused variables", lambda: unused_variables(self))

    def waste(self) -> Waste:
        """Equal values kept many times, empty and sparse containers, and the bytes to be had from each."""
        from .waste import waste

        return self._once("waste", lambda: waste(self))

    def what_if(self, cuts: Cut | Iterable[Cut]) -> WhatIf:
        """What goes if references are cut, and what still holds the rest; the graph itself stays as it is.

        A cut is an Edge, a (source, target), a Path (its last step), or an expression such as
        ``"orders.api.RESPONSES"``.
        """
        from .what_if import what_if

        return what_if(self, cuts)

    def find(self, expression: str) -> int:
        """The object that an expression such as ``orders.api.RESPONSES['k3'][0]`` leads to."""
        from .find import find

        return find(self, expression)

    def sql(self, query: str) -> QueryResult:
        """One SELECT over the tables ``objects``, ``edges`` and ``roots``; nothing else can be reached from it."""
        from .query import sql

        return sql(self, query)

    def populations(self) -> np.ndarray:
        """int32[n], read-only: how many elements a container holds; 0 for what is no container."""
        from .population import Populations

        limits = {"counts": (np.int32, len(self), 0, 1 << 31)}
        return self._kept("populations", limits, lambda: Populations.of(self), Populations).counts

    def shapes(self) -> Shapes:
        """The shape of every object: dicts with the same keys are of one shape."""
        from .shapes import Shapes

        n = len(self)
        limits = {"ids": (np.int32, n, 0, n + len(self.type_names)), "examples": (np.int32, None, 0, n)}

        def again(ids: np.ndarray, examples: np.ndarray) -> Shapes:
            return Shapes(ids, examples, self)

        return self._kept("shapes", limits, lambda: Shapes.of(self), again)

    def modules(self) -> Modules:
        """The modules of the process, and which of them are the program's own."""
        from .modules import Modules

        return self._once("modules", lambda: Modules.of(self))

    def variables(self) -> Variables:
        """Every name in every module's namespace."""
        from .variables import Variables

        return self._once("variables", lambda: Variables.of(self))

    # -- look-ups for the rooms around ---------------------------------------------------------------------

    def slot_labels(self) -> dict[str, np.ndarray]:
        """The names of slots in use -> their indices in ``strings``."""

        def compute() -> dict[str, np.ndarray]:
            used = np.unique(self.labels[self.kinds == EdgeKind.SLOT])
            found: dict[str, list[int]] = {}
            for index in used[used >= 0].tolist():
                found.setdefault(self.strings[index].as_py(), []).append(index)
            return {name: np.array(indices, np.int32) for name, indices in found.items()}

        return self._once("slot_labels", compute)

    def namespace_mask(self) -> np.ndarray:
        """bool[n], read-only: dicts that are the names of a module, a class or an instance, and ``sys.modules``."""

        def compute() -> np.ndarray:
            found = np.zeros(len(self), bool)
            wanted = self.slot_labels().get("__dict__")
            if wanted is not None:
                slots = np.flatnonzero(self.kinds == EdgeKind.SLOT)
                found[self.targets[slots[np.isin(self.labels[slots], wanted)]]] = True
            if self.modules().table >= 0:
                found[self.modules().table] = True
            return frozen(found)

        return self._once("namespace_mask", compute)

    def objects_at(self, address: int) -> np.ndarray:
        """int32: the objects with this address, none or one in a sound capture."""
        order = self._once("by address", lambda: np.argsort(self.addresses, kind="stable").astype(np.int32))
        begin = np.searchsorted(self.addresses, np.uint64(address), side="left", sorter=order)
        end = np.searchsorted(self.addresses, np.uint64(address), side="right", sorter=order)
        return order[begin:end]

    def sources_of(self, references: np.ndarray) -> np.ndarray:
        """int32: the objects that these references (indices) belong to."""
        return (np.searchsorted(self.offsets, references, side="right") - 1).astype(np.int32)

    def is_strong(self, references: np.ndarray) -> np.ndarray:
        """bool: which of these references (indices) hold what they refer to."""
        return self.kinds[references] != EdgeKind.WEAK

    def references_between(self, source: int, target: int) -> np.ndarray:
        """int64: the indices of all references of one object to another."""
        begin, end = int(self.offsets[source]), int(self.offsets[source + 1])
        return begin + np.flatnonzero(self.targets[begin:end] == target)

    # -- inside --------------------------------------------------------------------------------------------

    def _once(self, name: str, compute: Callable[[], T]) -> T:
        """The result of ``compute``, kept for the life of the graph."""
        if name not in self._memo:
            self._memo[name] = compute()
        return self._memo[name]

    def results(self) -> Results | None:
        """Where results are kept beside the capture; None for graphs that come from no capture."""
        from .results import Results

        return self._once("results", lambda: Results.of(self))

    def _kept(
        self,
        name: str,
        limits: Mapping[str, tuple[Any, int | None, int, int]],
        compute: Callable[[], T],
        again: Callable[..., T],
    ) -> T:
        """The result of ``compute``, taken from beside the capture or kept there: its arrays as ``limits`` say."""
        if name not in self._memo:
            kept = self.results()
            arrays = kept.load(name, limits) if kept else None
            if arrays is None:
                result = compute()
                if kept:
                    kept.save(name, {each: getattr(result, each) for each in limits})
            else:
                result = again(*arrays)
            self._memo[name] = result
        return self._memo[name]

    def forget(self) -> None:
        """Drop what is kept in memory and can be had again: from beside the capture, or else by a quick sweep."""
        quick = ("incoming", "populations", "table objects", "table edges", "table roots", "variables")
        kept = self.results()
        for name in tuple(self._memo) if kept else quick:
            if name != "results":  # a checksum over everything
                self._memo.pop(name, None)
        self.release_pages()

    def release_pages(self) -> None:
        """Give back the memory that holds the files' pages: those that are used again are read again."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            for mapping in self.mappings:
                mapping.madvise(mmap.MADV_DONTNEED)
