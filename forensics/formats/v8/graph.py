"""A raw V8 snapshot as a HeapGraph: the same model as for every other runtime.

How V8's edges become references: property ATTRIBUTE, element ITEM, context CLOSURE, named internal ones SLOT,
hidden ones INTERNAL, and whatever does not hold its target (``essential``) WEAK. The entries of a Map's or Set's
hash table become KEY, KEY_OBJECT and MEMBER, those of an object used as a dictionary KEY.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from forensics.agent.stream import EdgeKind, RootKind
from forensics.capture.masking import NAME_LIMIT, SECRET_KINDS, SECRET_SHIFT
from forensics.formats.v8 import tables, values
from forensics.formats.v8.essential import holding, roots
from forensics.formats.v8.raw import RawHeap, read
from forensics.formats.v8.scripts import code_table
from forensics.heap.columns import frames
from forensics.heap.graph import HeapGraph

#: Node types whose own name is what they are; the rest are called by their type.
_NAMED_TYPES = ("object", "native", "synthetic", "hidden")
_NAMES_OF_TYPES = {"code": "(compiled code)", "object shape": "(object shape)", "array": "(array)"}
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
    """Name, judge and mask; takes about 40 bytes for each edge while it runs.

    Parameters
    ----------
    values_kept : "masked", "full" or "none", see ``forensics.capture.masking``
    key : of the hashes of values, the same for all snapshots of a capture
    known_names : of properties whose values are kept beside ``values.KNOWN``
    meta : added to the graph's own
    """
    n = len(raw.types)
    holds = holding(raw)
    objects = roots(raw, holds)
    kinds, labels = _references(raw, holds)
    tables.collections(raw, kinds, labels)
    lengths = np.where(raw.types == raw.node_type("object"), _elements(raw, kinds), 0)
    types, type_names = _types(raw, kinds)
    is_string = raw.types == raw.node_type("string")
    known = values.digest(raw.strings, key)
    texts = _kept(raw, kinds, labels, is_string, known, values_kept, known_names)
    lengths[is_string] = known.lengths[raw.names[is_string]]
    # A name that looks like a secret, or is too long for one, was made of a value.
    named = np.isin(kinds, (EdgeKind.ATTRIBUTE, EdgeKind.CLOSURE, EdgeKind.SLOT))
    no_name = known.secret | (known.lengths > NAME_LIMIT)
    named[named] = no_name[labels[named]]
    labels[named] = -1
    pool, labels, texts = _pool(raw, kinds, labels, texts)
    visible = is_string & (values_kept != "none")
    secrets = np.bincount(known.classes[raw.names[visible]] >> SECRET_SHIFT, minlength=len(SECRET_KINDS))
    graph = HeapGraph(
        offsets=raw.offsets,
        targets=raw.targets,
        shallow_sizes=raw.sizes,
        root_objects=objects,
        kinds=kinds,
        labels=labels,
        addresses=raw.ids,
        types=types,
        flags=np.zeros(n, np.uint16),
        lengths=lengths,
        capacities=np.zeros(n, np.int32),
        texts=texts,
        value_hashes=np.where(visible, known.hashes[raw.names], 0).astype(np.uint64),
        value_classes=np.where(visible, known.classes[raw.names], 0).astype(np.uint16),
        type_names=type_names,
        strings=pool,
        root_kinds=np.full(len(objects), RootKind.OTHER, np.uint8),
        root_names=np.full(len(objects), -1, np.int32),
        frames=frames(),
        code=code_table(raw),
        meta={"runtime": "node", "values": values_kept, **(meta or {})},
    )
    found = {name: int(count) for name, count in zip(SECRET_KINDS, secrets, strict=False) if name and count}
    return Loaded(graph, found)


def _references(raw: RawHeap, holds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8[m] kinds and int32[m] labels, the latter still into the file's own strings."""
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
    kinds = of_type[raw.edge_kinds]
    labels = raw.labels.copy()
    labels[kinds == EdgeKind.INTERNAL] = -1
    inherited = _index_of(raw, _INHERITED)
    kinds[(kinds == EdgeKind.ATTRIBUTE) & (labels == inherited)] = EdgeKind.SLOT
    # What the root and V8's own lists number are no elements that a person would write.
    numbered = np.isin(raw.types, [raw.node_type("synthetic"), raw.node_type("array")])
    plumbing = np.repeat(numbered, np.diff(raw.offsets)) & np.isin(kinds, (EdgeKind.ITEM, EdgeKind.SLOT))
    kinds[plumbing] = EdgeKind.INTERNAL
    kinds[~holds] = EdgeKind.WEAK
    return kinds, labels


def _elements(raw: RawHeap, kinds: np.ndarray) -> np.ndarray:
    """int64[n]: references of each node that lead to an element."""
    contained = np.isin(kinds, (EdgeKind.ITEM, EdgeKind.KEY, EdgeKind.MEMBER))
    counts = np.concatenate(([0], np.cumsum(contained, dtype=np.int64)))
    return counts[raw.offsets[1:]] - counts[raw.offsets[:-1]]


def _types(raw: RawHeap, kinds: np.ndarray) -> tuple[np.ndarray, pa.Array]:
    """int32[n] and the names; those of V8's own types are in round brackets, as DevTools writes them."""
    named = np.isin(raw.types, [raw.node_type(name) for name in _NAMED_TYPES])
    named &= raw.names >= 0
    array = raw.types == raw.node_type("array")
    empty = _index_of(raw, "")
    named |= array & (raw.names != empty)
    used, numbers = np.unique(raw.names[named], return_inverse=True)
    names = [name if name else "(system)" for name in raw.strings.take(pa.array(used)).to_pylist()]
    types = np.empty(len(raw.types), np.int32)
    types[named] = numbers
    generic = raw.types[~named].astype(np.int32)
    types[~named] = len(names) + generic
    names += [_NAMES_OF_TYPES.get(name, f"({name})") for name in raw.node_types]
    maps, sets = tables.tables_of(raw, kinds)
    types[maps], types[sets] = len(names), len(names) + 1
    return types, pa.array([*names, "Map table", "Set table"], pa.large_string())


def _kept(
    raw: RawHeap,
    kinds: np.ndarray,
    labels: np.ndarray,
    is_string: np.ndarray,
    known: values.Digest,
    values_kept: str,
    known_names: frozenset[str],
) -> np.ndarray:
    """int32[n]: the file's string of each node whose text is kept, -1 for all others."""
    texts = np.full(len(raw.types), -1, np.int32)
    if values_kept == "full":
        texts[is_string] = raw.names[is_string]
    else:
        wanted = np.zeros(len(raw.types), np.bool_)
        keyed = (kinds == EdgeKind.KEY) & (labels >= 0)
        wanted[labels[keyed]] = True
        if values_kept != "none":
            said = np.array([_index_of(raw, name) for name in sorted(values.KNOWN | known_names)])
            by_name = np.isin(kinds, (EdgeKind.ATTRIBUTE, EdgeKind.CLOSURE))
            at_known = by_name & np.isin(labels, said[said >= 0])
            wanted[raw.targets[at_known]] = True
        wanted &= is_string
        rows = raw.names[wanted]
        fine = (known.lengths[rows] <= NAME_LIMIT) & ~known.secret[rows]
        texts[np.flatnonzero(wanted)[fine]] = rows[fine]
    closures = raw.types == raw.node_type("closure")
    texts[closures] = raw.names[closures]
    return texts


def _pool(
    raw: RawHeap, kinds: np.ndarray, labels: np.ndarray, texts: np.ndarray
) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Only the strings that something still refers to; labels and texts as places among them."""
    by_name = np.isin(kinds, (EdgeKind.ATTRIBUTE, EdgeKind.CLOSURE, EdgeKind.SLOT)) & (labels >= 0)
    labels[np.isin(kinds, (EdgeKind.INTERNAL, EdgeKind.WEAK))] = -1
    used = np.zeros(len(raw.strings), np.bool_)
    used[labels[by_name]] = True
    used[texts[texts >= 0]] = True
    place = np.full(len(raw.strings), -1, np.int32)
    kept = np.flatnonzero(used)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    labels[by_name] = place[labels[by_name]]
    texts = np.where(texts >= 0, place[texts], -1).astype(np.int32)
    return raw.strings.take(pa.array(kept)), labels, texts


def _index_of(raw: RawHeap, text: str) -> int:
    """Where a text stands in the file's strings, -1 where it does not; V8 writes each text once."""
    return int(raw.strings.index(pa.scalar(text, pa.large_string())).as_py())
