"""A raw V8 snapshot as a HeapGraph: the same model as for every other runtime.

How V8's edges become references: property ATTRIBUTE, element ITEM, context CLOSURE, named internal ones SLOT,
hidden ones INTERNAL, and whatever does not hold its target (``essential``) WEAK. The entries of a Map's or Set's
hash table become KEY, KEY_OBJECT and MEMBER, those of an object used as a dictionary KEY.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.agent.stream import EdgeKind, RootKind
from forensics.capture.masking import NAME_LIMIT, SECRET_KINDS, SECRET_SHIFT
from forensics.formats.v8 import tables, values
from forensics.formats.v8.essential import holding, roots
from forensics.formats.v8.raw import RawHeap, read
from forensics.formats.v8.references import (
    classify,
    count_elements,
    forget_names,
    mark_kept,
    names_in_use,
    number_types,
    renumber,
    texts_in_pool,
)
from forensics.formats.v8.scripts import code_table
from forensics.formats.v8.unused import unused
from forensics.heap.columns import frames
from forensics.heap.graph import HeapGraph

#: Node types whose own name is what they are; the rest are called by their type.
_NAMED_TYPES = ("object", "native", "synthetic", "hidden")
_NAMES_OF_TYPES = {"code": "(compiled code)", "object shape": "(object shape)", "array": "(array)"}
#: V8 of 2026 names a context by its scope, and the global one by its page: that is no type.
_CONTEXT = re.compile(r"^(system / (?:Native)?Context) / .*", re.DOTALL)
#: Array nodes keep V8's own names for them.
_INHERITED = "__proto__"
_ELEMENTS = "(object elements)"


@dataclass(frozen=True)
class Loaded:
    """A graph, and how many strings in it look like which kind of secret."""

    graph: HeapGraph
    secrets: dict[str, int]


def load(path: Path) -> HeapGraph:
    """The graph of one ``.heapsnapshot``, its values masked.

    Raises
    ------
    FormatError : see ``raw.read``.
    """
    return convert(read(path)).graph


def convert(
    raw: RawHeap,
    *,
    values_kept: str = "masked",
    key: bytes | None = None,
    known_names: frozenset[str] = frozenset(),
    meta: dict[str, Any] | None = None,
) -> Loaded:
    """Name, judge and mask; ``raw`` is used up, its columns become the graph's.

    Parameters
    ----------
    values_kept : "masked", "full" or "none", see ``forensics.capture.masking``
    key : of the hashes of values, the same for all snapshots of a capture
    known_names : of properties whose values are kept beside ``values.KNOWN``
    meta : added to the graph's own
    """
    objects, kinds, labels = raw.objects, raw.edge_kinds, raw.labels
    code = code_table(raw)
    idle = unused(raw)
    holds = holding(raw)
    root_objects = roots(raw, holds)
    found = tables.find(raw)
    _references(raw, holds)
    del holds
    tables.rewrite(raw, found, kinds, labels)
    lengths = objects["length"]
    count_elements(raw.offsets, kinds, raw.types == raw.node_type("object"), lengths)
    type_names = _types(raw, found)
    is_string = raw.types == raw.node_type("string")
    known = values.digest(raw.strings, key)
    _keep_texts(raw, kinds, labels, is_string, known, values_kept, known_names)
    pool = _pool(raw, kinds, labels, known)
    raw.storage.release()
    shown = raw.names[is_string]
    lengths[is_string] = known.lengths[shown]
    if values_kept == "none":
        shown = shown[:0]
    else:
        objects["value_hash"][is_string] = known.hashes[shown]
        objects["value_class"][is_string] = known.classes[shown]
    secrets = np.bincount(known.classes[shown] >> SECRET_SHIFT, minlength=len(SECRET_KINDS))
    raw.storage.release()
    graph = HeapGraph(
        offsets=raw.offsets,
        targets=raw.targets,
        shallow_sizes=raw.sizes,
        root_objects=root_objects,
        kinds=kinds,
        labels=labels,
        addresses=raw.ids,
        types=objects["type"],
        flags=objects["flags"],
        lengths=lengths,
        capacities=objects["capacity"],
        texts=objects["text"],
        value_hashes=objects["value_hash"],
        value_classes=objects["value_class"],
        type_names=type_names,
        strings=pool,
        root_kinds=np.full(len(root_objects), RootKind.OTHER, np.uint8),
        root_names=np.full(len(root_objects), -1, np.int32),
        frames=frames(),
        code=code,
        meta={"runtime": "node", "values": values_kept, **(meta or {})},
        mappings=raw.storage.mappings,
        unused=idle,
    )
    kinds_found = zip(SECRET_KINDS, secrets, strict=False)
    return Loaded(graph, {name: int(count) for name, count in kinds_found if name and count})


def _references(raw: RawHeap, holds: np.ndarray) -> None:
    """The types of edges become kinds of references, in place."""
    of_type = np.full(256, EdgeKind.INTERNAL, np.uint8)
    for name, kind in (
        ("context", EdgeKind.CLOSURE),
        ("element", EdgeKind.ITEM),
        ("property", EdgeKind.ATTRIBUTE),
        ("internal", EdgeKind.SLOT),
        ("shortcut", EdgeKind.SLOT),
    ):
        if name in raw.edge_types:
            of_type[raw.edge_type(name)] = kind
    # What the root and V8's own lists number are no elements that a person would write.
    plumbing = (raw.types == raw.node_type("synthetic")) | (raw.types == raw.node_type("array"))
    inherited = np.int64(_index_of(raw, _INHERITED))
    classify(raw.offsets, raw.edge_kinds, raw.labels, holds, of_type, plumbing, inherited)


def _types(raw: RawHeap, found: tables.Collections) -> pa.Array:
    """Numbers the types of the objects; their names: those of V8's own are in round brackets, as in DevTools."""
    named = np.zeros(256, np.bool_)
    named[[raw.node_type(name) for name in _NAMED_TYPES if name in raw.node_types]] = True
    unless, empty = raw.node_type("array"), _index_of(raw, "")
    present = np.zeros(len(raw.strings), np.bool_)
    names_in_use(raw.types, raw.names, named, unless, empty, present)
    used = np.flatnonzero(present)
    place = np.zeros(len(raw.strings), np.int32)
    names = [_CONTEXT.sub(r"\1", name) or "(system)" for name in arrow.taken(raw.strings, used).to_pylist()]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    place[used] = [numbers[name] for name in names]
    names = list(numbers)
    types = raw.objects["type"]
    number_types(raw.types, raw.names, named, unless, empty, place, len(names), types)
    names += [_NAMES_OF_TYPES.get(name, f"({name})") for name in raw.node_types]
    types[found.maps], types[found.sets] = len(names), len(names) + 1
    return arrow.column([*names, "Map table", "Set table"], pa.large_string())


def _keep_texts(
    raw: RawHeap,
    kinds: np.ndarray,
    labels: np.ndarray,
    is_string: np.ndarray,
    known: values.Digest,
    values_kept: str,
    known_names: frozenset[str],
) -> None:
    """The texts of objects: the file's string where a node's text is kept, -1 for all others."""
    texts = raw.objects["text"]
    texts.fill(-1)
    if values_kept == "full":
        texts[is_string] = raw.names[is_string]
    else:
        wanted = np.zeros(len(raw.types), np.bool_)
        said = np.zeros(len(raw.strings), np.bool_)
        numbers = np.array([_index_of(raw, name) for name in sorted(values.KNOWN | known_names)])
        said[numbers[numbers >= 0]] = True
        mark_kept(kinds, labels, raw.targets, said, values_kept != "none", wanted)
        wanted &= is_string
        rows = raw.names[wanted]
        fine = (known.lengths[rows] <= NAME_LIMIT) & ~known.secret[rows]
        texts[np.flatnonzero(wanted)[fine]] = rows[fine]
    closures = raw.types == raw.node_type("closure")
    texts[closures] = raw.names[closures]


def _pool(raw: RawHeap, kinds: np.ndarray, labels: np.ndarray, known: values.Digest) -> pa.Array:
    """Only the strings that something still refers to; labels and texts become places among them."""
    texts = raw.objects["text"]
    used = np.zeros(len(raw.strings), np.bool_)
    used[texts[texts >= 0]] = True
    # A name that looks like a secret, or is too long for one, was made of a value.
    forget_names(kinds, labels, known.secret | (known.lengths > NAME_LIMIT), used)
    kept = np.flatnonzero(used)
    place = np.full(len(raw.strings), -1, np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    renumber(kinds, labels, place)
    texts_in_pool(texts, place)
    return arrow.taken(raw.strings, kept)


def _index_of(raw: RawHeap, text: str) -> int:
    """Where a text stands in the file's strings, -1 where it does not; V8 writes each text once."""
    return arrow.index(raw.strings, text)
