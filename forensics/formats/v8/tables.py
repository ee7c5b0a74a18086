"""Maps, Sets and dictionary-like objects in a V8 snapshot: which of their edges are keys and which are values.

A Map keeps its entries in one array (``OrderedHashTable`` in V8's src/objects/ordered-hash-table.h): three numbers,
the buckets (a power of two), then for each of twice as many entries the key, the value and a number. A Set's entries
are the key and a number. Which of an array's fields an edge leaves from stands in its name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.agent.stream import EdgeKind
from forensics.formats.v8.raw import RawHeap
from forensics.heap.compiled import compiled, frozen

#: Header of an array, in words: shape and length.
_HEADER = 2
_PREFIX = 3
#: An object with so many properties, kept in a hash table, is used as a dictionary.
DICTIONARY = 16


@dataclass(frozen=True)
class Collections:
    """int32: array nodes with the entries of Maps, those of Sets, and objects that may be used as dictionaries."""

    maps: np.ndarray
    sets: np.ndarray
    objects: np.ndarray


def find(raw: RawHeap) -> Collections:
    """The collections of a snapshot, told by V8's own names for what leads to their parts."""
    _, tables = _internal(raw, "table")
    tables = np.unique(tables)
    length = raw.sizes[tables] // _word(raw) - _HEADER - _PREFIX
    edges, _ = _internal(raw, "properties")
    owners = np.searchsorted(raw.offsets, edges, side="right") - 1
    plain = arrow.index(raw.strings, "Object")
    owners = owners[(raw.types[owners] == raw.node_type("object")) & (raw.names[owners] == plain)]
    return Collections(
        tables[_buckets(length, 3) > 0], tables[_buckets(length, 2) > 0], owners.astype(np.int32)
    )


def rewrite(raw: RawHeap, found: Collections, kinds: np.ndarray, labels: np.ndarray) -> None:
    """Rewrite in place the kinds and labels of the entries of collections."""
    numbers = numeric(raw.strings)
    for table_nodes, stride in ((found.maps, 3), (found.sets, 2)):
        _entries(
            frozen(raw.offsets),
            frozen(raw.targets),
            frozen(raw.sizes),
            frozen(numbers),
            frozen(table_nodes),
            stride,
            _word(raw),
            kinds,
            labels,
        )
    _dictionaries(raw, found.objects, kinds, labels)


def _internal(raw: RawHeap, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The internal edges of that name which lead to arrays, and where they lead."""
    label = arrow.index(raw.strings, name)
    edges = _edges_of(frozen(raw.edge_kinds), frozen(raw.labels), raw.edge_type("internal"), label)
    targets = raw.targets[edges]
    arrays = raw.types[targets] == raw.node_type("array")
    return edges[arrays], targets[arrays]


def _buckets(length: np.ndarray, stride: int) -> np.ndarray:
    """int64: the number of buckets where so many words can be those of a table with that stride, else 0."""
    each = 1 + 2 * stride
    buckets, rest = np.divmod(length, each)
    fits = (rest == 0) & (buckets > 0) & (buckets & (buckets - 1) == 0)
    return np.where(fits, buckets, 0)


def _word(raw: RawHeap) -> int:
    """Bytes of a tagged word: 4 where V8 compresses pointers (browsers), 8 in Node.

    A closure takes seven or eight words, one more with a prototype slot.
    """
    sizes = raw.sizes[raw.types == raw.node_type("closure")]
    sizes = sizes[sizes > 0]
    return 4 if len(sizes) and int(np.median(sizes)) <= 36 else 8


def numeric(strings: pa.Array) -> np.ndarray:
    """int32 by string: the number it writes in decimal digits, -1 where it is none below 10⁹."""
    offsets = np.frombuffer(strings.buffers()[1], np.int64)[
        strings.offset : strings.offset + len(strings) + 1
    ]
    data = strings.buffers()[2]
    raw = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return _numeric(frozen(offsets), frozen(raw))


def _dictionaries(raw: RawHeap, owners: np.ndarray, kinds: np.ndarray, labels: np.ndarray) -> None:
    """The properties of objects used as dictionaries: KEY, the label the string node that is the key."""
    if not len(owners):
        return
    strings = np.flatnonzero(raw.types == raw.node_type("string"))
    node_of = np.full(len(raw.strings), -1, np.int32)
    node_of[raw.names[strings[::-1]]] = strings[::-1]
    for owner in owners.tolist():
        here = np.arange(raw.offsets[owner], raw.offsets[owner + 1])
        here = here[kinds[here] == EdgeKind.ATTRIBUTE]
        if len(here) >= DICTIONARY:
            kinds[here] = EdgeKind.KEY
            labels[here] = node_of[labels[here]]


@compiled
def _edges_of(edge_kinds, labels, kind, label):
    count = 0
    for e in range(edge_kinds.size):
        if edge_kinds[e] == kind and labels[e] == label:
            count += 1
    found = np.empty(count, np.int64)
    count = 0
    for e in range(edge_kinds.size):
        if edge_kinds[e] == kind and labels[e] == label:
            found[count] = e
            count += 1
    return found


@compiled
def _numeric(offsets, data):
    found = np.full(offsets.size - 1, -1, np.int32)
    for i in range(found.size):
        length = offsets[i + 1] - offsets[i]
        if length < 1 or length > 9:
            continue
        value = 0
        for k in range(offsets[i], offsets[i + 1]):
            c = data[k]
            if c < 48 or c > 57:
                value = -1
                break
            value = value * 10 + (c - 48)
        found[i] = value
    return found


@compiled
def _entries(offsets, targets, sizes, numbers, nodes, stride, word, kinds, labels):
    for node in nodes:
        # The edges are named by the field they leave from, counted without the header.
        buckets = (sizes[node] // word - 2 - 3) // (1 + 2 * stride)
        first = 3 + buckets
        key = np.int32(-1)
        key_at = np.int64(-1)
        for e in range(offsets[node], offsets[node + 1]):
            if kinds[e] == 10 or not 0 <= labels[e] < numbers.size:
                continue
            field = numbers[labels[e]]
            if field < first:
                continue
            role = (field - first) % stride
            if role == 0:
                key, key_at = targets[e], field
                kinds[e] = 3 if stride == 3 else 5  # KEY_OBJECT, MEMBER
                labels[e] = -1
            elif role == 1 and stride == 3:
                kinds[e] = 2  # KEY
                labels[e] = key if key_at == field - 1 else -1
