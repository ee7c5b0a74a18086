"""Turns a raw stream into the Arrow files of one snapshot: addresses become ids, values are masked, roots completed.

Objects keep the order in which the walker met them. References are resolved in slices, so that the peak is a few
arrays of the number of objects and one slice of references.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa

from forensics.agent.stream import KIND_SHIFT, LABEL_MASK, EdgeKind, ObjectFlag, RootKind
from forensics.bundle import SNAPSHOT_SCHEMAS
from forensics.capture import masking
from forensics.capture.reader import EDGE, RawSnapshot

_SLICE = 1 << 20
_BY_NAME = (EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CLOSURE)
_STATIC = (EdgeKind.SLOT, EdgeKind.INTERNAL)
_CODE_TEXTS = ("co_filename", "co_name", "co_qualname", "__name__", "__qualname__", "__module__")
_CODE_TUPLES = ("co_consts", "co_names", "co_localsplusnames", "co_varnames", "co_freevars", "co_cellvars")


def write_snapshot(raw: RawSnapshot, folder: Path, *, values: str, meta: dict[str, Any]) -> dict[str, Any]:
    """Write one snapshot into ``folder``; returns facts for the manifest (objects, references, secrets by kind).

    Parameters
    ----------
    values : "masked", "full" or "none"
    meta : what the snapshot's ``meta.json`` says beside the stream's own header and end
    """
    resolver = _Resolver(raw)
    try:
        references = resolver.references()
        texts = _Texts(raw, resolver, references, values)
        tables = _tables(raw, resolver, references, texts)
        for name, table in tables.items():
            _write(folder / f"{name}.arrow", table)
        facts = {
            "objects": int(resolver.n),
            "references": int(references.targets.size),
            "dangling": int(references.dangling),
            "secrets": texts.secrets(),
        }
        (folder / "meta.json").write_text(
            json.dumps({**raw.header, **raw.end, **meta, **facts, "values": values}, indent=2) + "\n"
        )
        return facts
    finally:
        if raw.edges is not None:
            raw.edges.close()


class References:
    """Resolved references: CSR offsets, targets, kinds, and labels still as object ids where they are objects."""

    def __init__(
        self, offsets: np.ndarray, targets: np.ndarray, labels: np.ndarray, kinds: np.ndarray
    ) -> None:
        self.offsets = offsets
        self.targets = targets
        self.labels = labels
        self.kinds = kinds
        self.dangling = 0


class _Resolver:
    """Looks addresses up; ids are positions in the order of emission."""

    def __init__(self, raw: RawSnapshot) -> None:
        self.raw = raw
        self.addresses = np.ascontiguousarray(raw.columns["address"])
        self.n = self.addresses.size
        self._order = np.argsort(self.addresses).astype(np.int32)
        self._sorted = self.addresses[self._order]
        self._bits, self._buckets = _bucket_table(self._sorted)

    def ids(self, addresses: np.ndarray) -> np.ndarray:
        """int32 ids, -1 where no object has that address."""
        wanted = np.ascontiguousarray(addresses, dtype=np.uint64)
        return _look_up(self._sorted, self._order, self._buckets, self._bits, wanted)

    def references(self) -> References:
        degrees = self.raw.columns["degree"].astype(np.int64)
        offsets = np.zeros(self.n + 1, np.int64)
        np.cumsum(degrees, out=offsets[1:])
        m = self.raw.n_edges
        targets, labels = np.empty(m, np.int32), np.empty(m, np.int32)
        kinds = np.empty(m, np.uint8)
        assert self.raw.edges is not None
        self.raw.edges.seek(0)
        for begin in range(0, m, _SLICE):
            n = min(_SLICE, m - begin)
            edges = np.frombuffer(self.raw.edges.read(n * EDGE.itemsize), EDGE)
            kind = (edges["label"] >> np.uint64(KIND_SHIFT)).astype(np.uint8)
            label = edges["label"] & np.uint64(LABEL_MASK)
            here = slice(begin, begin + n)
            kinds[here] = kind
            targets[here] = self.ids(edges["target"])
            labels[here] = np.minimum(label, 0x7FFFFFFF).astype(np.int32)
            by_object = np.isin(kind, (*_BY_NAME, EdgeKind.KEY))
            labels[np.flatnonzero(by_object) + begin] = self.ids(label[by_object])
        references = References(offsets, targets, labels, kinds)
        if m and targets.min() < 0:
            _drop_dangling(references)
        return references


def _drop_dangling(references: References) -> None:
    """References to what the walker never described: dropped and counted."""
    good = references.targets >= 0
    references.dangling = int(good.size - good.sum())
    kept_before = np.concatenate(([0], np.cumsum(good)))
    references.offsets = kept_before[references.offsets]
    references.targets = references.targets[good]
    references.labels = references.labels[good]
    references.kinds = references.kinds[good]


class _Texts:
    """Decides which values are kept as text, and holds the pool of strings of the snapshot."""

    def __init__(self, raw: RawSnapshot, resolver: _Resolver, references: References, values: str) -> None:
        self._raw = raw
        self._pool: dict[str, int] = {}
        n = resolver.n
        self.hashes = np.zeros(n, np.uint64)
        self.classes = np.zeros(n, np.uint16)
        self.texts = np.full(n, -1, np.int32)
        self._values = values
        address, _, self._kind, hashes, classes, self._start, self._size = raw.values.columns()
        owner = resolver.ids(address)
        self._all_classes = classes
        known = owner >= 0
        self._row = np.full(n, -1, np.int32)
        self._row[owner[known]] = np.flatnonzero(known)
        if values != "none":
            self.hashes[owner[known]] = hashes[known]
            self.classes[owner[known]] = classes[known]
        self._keep(_names(raw, references, n))
        references.labels = self._label_strings(references)
        self._keep(self._known_values(references, program_only=values == "none"))
        if values == "full":
            self._keep(np.flatnonzero(self._row >= 0), secrets_too=True)

    def pool(self) -> pa.Array:
        return pa.array(self._pool, pa.large_string()) if self._pool else pa.array([], pa.large_string())

    def intern(self, text: str) -> int:
        return self._pool.setdefault(text, len(self._pool))

    def text(self, obj: int) -> str | None:
        row = self._row[obj]
        return None if row < 0 or self._start[row] < 0 else self._decode(row)

    def secrets(self) -> dict[str, int]:
        kinds, counts = np.unique(self.classes >> masking.SECRET_SHIFT, return_counts=True)
        return {
            masking.SECRET_KINDS[kind]: int(count)
            for kind, count in zip(kinds, counts, strict=True)
            if 0 < kind < 8
        }

    def _decode(self, row: int) -> str:
        begin = self._start[row]
        return masking.decode(
            self._raw.values.pending()[begin : begin + self._size[row]], int(self._kind[row])
        )

    def _keep(self, objects: np.ndarray, *, secrets_too: bool = False) -> None:
        rows = self._row[objects]
        usable = (rows >= 0) & (self.texts[objects] < 0)
        usable[usable] = self._start[rows[usable]] >= 0
        if not secrets_too:
            usable[usable] = (self._all_classes[rows[usable]] >> masking.SECRET_SHIFT) == 0
        for obj in objects[usable]:
            text = self._decode(self._row[obj])
            if secrets_too or len(text) <= masking.NAME_LIMIT:
                self.texts[obj] = self.intern(text)

    def _label_strings(self, references: References) -> np.ndarray:
        """Labels as HeapGraph wants them: indices into the pool for names, object ids for keys, positions."""
        labels = references.labels
        by_name = np.isin(references.kinds, _BY_NAME)
        objects = labels[by_name]
        labels[by_name] = np.where(objects >= 0, self.texts[objects], -1)
        static = np.isin(references.kinds, _STATIC)
        highest = max(self._raw.strings, default=0)
        translate = np.full(highest + 1, -1, np.int32)
        for known, text in self._raw.strings.items():
            translate[known] = self.intern(text)
        numbers = labels[static]
        labels[static] = np.where(
            (numbers > 0) & (numbers <= highest), translate[np.clip(numbers, 0, highest)], -1
        )
        return labels

    def _known_values(self, references: References, *, program_only: bool) -> np.ndarray:
        """Objects whose value is kept because of where it stands; or only what is the program's own text."""
        found = []
        known = (key for key in masking.KNOWN_KEYS if key in self._pool)
        keys = np.array([self._pool[key] for key in known if key[0] == "_" or not program_only], np.int32)
        is_key = references.kinds == EdgeKind.KEY
        key_objects = references.labels[is_key]
        key_texts = np.where(key_objects >= 0, self.texts[key_objects], -1)
        found.append(references.targets[is_key][np.isin(key_texts, keys)])
        is_attribute = (references.kinds == EdgeKind.ATTRIBUTE) | (references.kinds == EdgeKind.SLOT)
        found.append(references.targets[is_attribute][np.isin(references.labels[is_attribute], keys)])
        if not program_only:
            found.append(self._values_by_type(references))
        slots = references.kinds == EdgeKind.SLOT
        texts = [self._pool[name] for name in _CODE_TEXTS if name in self._pool]
        found.append(references.targets[slots][np.isin(references.labels[slots], texts)])
        tuples = [self._pool[name] for name in _CODE_TUPLES if name in self._pool]
        held = np.unique(references.targets[slots][np.isin(references.labels[slots], tuples)])
        found.append(_children(references, held))
        return np.unique(np.concatenate(found))

    def _values_by_type(self, references: References) -> np.ndarray:
        """``KNOWN_ATTRIBUTES``, and the names of asyncio's tasks."""
        types = self._raw.columns["type"]
        found = [np.empty(0, np.int32)]
        for prefix, attribute in masking.KNOWN_ATTRIBUTES:
            if attribute not in self._pool:
                continue
            ids = [number for number, name in self._raw.type_names.items() if name.startswith(prefix)]
            owners = np.flatnonzero(np.isin(types, ids)).astype(np.int32)
            edges = _edges_of(references, owners)
            keys = references.kinds[edges] == EdgeKind.KEY
            named = references.labels[edges] == self._pool[attribute]
            found.append(references.targets[edges[named & ~keys]])
            # Where the instance has a real __dict__ the attribute is a key of it.
            namespaces = references.targets[edges[references.labels[edges] == self._pool.get("__dict__", -2)]]
            inner = _edges_of(references, np.unique(namespaces))
            inner = inner[references.kinds[inner] == EdgeKind.KEY]
            key_objects = references.labels[inner]
            at_name = np.where(key_objects >= 0, self.texts[key_objects], -1) == self._pool[attribute]
            found.append(references.targets[inner[at_name]])
        tasks = [number for number, name in self._raw.type_names.items() if name.endswith("asyncio.Task")]
        owners = np.flatnonzero(np.isin(types, tasks)).astype(np.int32)
        for target in _children(references, owners):
            text = self.text(int(target))
            if text is not None and text.startswith("Task-") and text[5:].isdigit():
                found.append(np.array([target], np.int32))
        return np.concatenate(found)


def _names(raw: RawSnapshot, references: References, n: int) -> np.ndarray:
    """Ids of the objects that are names: labels of attributes, locals and closures, and dict keys."""
    is_name = np.zeros(n, np.bool_)
    labels = references.labels[np.isin(references.kinds, _BY_NAME)]
    is_name[labels[labels >= 0]] = True
    is_name[references.targets[references.kinds == EdgeKind.KEY_OBJECT]] = True
    return np.flatnonzero(is_name)


def _edges_of(references: References, objects: np.ndarray) -> np.ndarray:
    """int64 indices of the references of several objects."""
    begin, end = references.offsets[objects], references.offsets[objects + 1]
    counts = end - begin
    total = int(counts.sum())
    if total == 0:
        return np.empty(0, np.int64)
    within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(begin, counts) + within


def _children(references: References, objects: np.ndarray) -> np.ndarray:
    return references.targets[_edges_of(references, objects)]


# -- tables ----------------------------------------------------------------------------------------------------


def _tables(
    raw: RawSnapshot, resolver: _Resolver, references: References, texts: _Texts
) -> dict[str, pa.RecordBatch]:
    columns = raw.columns
    where = _positions(raw.type_names, columns["type"])
    roots = _roots(raw, resolver, references, texts)
    frames, code = _frames(raw, resolver, texts), _code(raw, resolver, texts)
    lists: dict[str, list[Any]] = {
        "objects": [
            resolver.addresses,
            np.where(where >= 0, where + 1, 0).astype(np.int32),
            columns["size"].astype(np.int64),
            columns["flags"].astype(np.uint16),
            columns["length"].astype(np.int64),
            np.minimum(columns["capacity"], 0x7FFFFFFF).astype(np.int32),
            texts.texts,
            texts.hashes,
            texts.classes,
        ],
        "offsets": [references.offsets],
        "references": [references.targets, references.labels, references.kinds],
        "types": [["?", *raw.type_names.values()]],
        "roots": roots,
        "frames": frames,
        "code": code,
    }
    lists["strings"] = [texts.pool()]
    return {name: _batch(name, lists[name]) for name in SNAPSHOT_SCHEMAS}


def _positions(numbered: dict[int, str], numbers: np.ndarray) -> np.ndarray:
    """Where each of ``numbers`` stands among the keys of ``numbered``, in the order of the dict; -1 unknown."""
    known = np.fromiter(numbered, np.int64, len(numbered))
    if not known.size:
        return np.full(numbers.size, -1, np.int64)
    order = np.argsort(known)
    found = np.minimum(np.searchsorted(known, numbers, sorter=order), known.size - 1)
    where = order[found]
    return np.where(known[where] == numbers, where, -1)


def _batch(name: str, columns: list[Any]) -> pa.RecordBatch:
    schema = SNAPSHOT_SCHEMAS[name]
    return pa.record_batch(
        [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema
    )


def _write(path: Path, batch: pa.RecordBatch) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def _roots(raw: RawSnapshot, resolver: _Resolver, references: References, texts: _Texts) -> list[np.ndarray]:
    objects = resolver.ids(raw.roots["address"])
    names = np.array([texts.intern(raw.strings.get(int(name), "")) for name in raw.roots["name"]], np.int32)
    kinds = raw.roots["kind"]
    known = objects >= 0
    native = _held_by_native_code(raw, references, resolver.n)
    return [
        np.concatenate((objects[known], native)).astype(np.int32),
        np.concatenate((kinds[known], np.full(native.size, RootKind.NATIVE, np.uint8))).astype(np.uint8),
        np.concatenate((names[known], np.full(native.size, texts.intern("native code"), np.int32))).astype(
            np.int32
        ),
    ]


def _held_by_native_code(raw: RawSnapshot, references: References, n: int) -> np.ndarray:
    """Objects met only on the collector's lists whose reference count exceeds the references seen.

    The same reckoning as the collector's own (CPython, ``subtract_refs`` in gc.c): what remains comes from outside.
    """
    counted = np.zeros(n, np.int64)
    # A closure's cells are held by the tuple of cells; CLOSURE references only lend them their names.
    real = (references.kinds != EdgeKind.WEAK) & (references.kinds != EdgeKind.CLOSURE)
    np.add.at(counted, references.targets[real], 1)
    flags = raw.columns["flags"]
    left_over = (flags & ObjectFlag.GC_LIST_ONLY) != 0
    mortal = (flags & ObjectFlag.IMMORTAL) == 0
    return np.flatnonzero(left_over & mortal & (raw.columns["refcount"] > counted)).astype(np.int32)


def _frames(raw: RawSnapshot, resolver: _Resolver, texts: _Texts) -> list[Any]:
    frames = raw.frames[resolver.ids(raw.frames["address"]) >= 0]
    code = {int(row["address"]): row for row in raw.code}
    thread_names = raw.header.get("threads", {})
    function, file = [], []
    for row in frames:
        found = code.get(int(row["code"]))
        function.append(_text_at(resolver, texts, found["name"]) if found is not None else "?")
        file.append(_text_at(resolver, texts, found["file"]) if found is not None else "?")
    return [
        resolver.ids(frames["address"]),
        frames["thread"],
        [str(thread_names.get(str(thread), "")) for thread in frames["thread"]],
        frames["depth"].astype(np.int32),
        function,
        file,
        frames["line"].astype(np.int32),
    ]


def _code(raw: RawSnapshot, resolver: _Resolver, texts: _Texts) -> list[Any]:
    code = raw.code[resolver.ids(raw.code["address"]) >= 0]
    objects = resolver.ids(code["address"])
    names, files = resolver.ids(code["name"]), resolver.ids(code["file"])
    return [
        objects,
        [texts.text(int(name)) or "?" if name >= 0 else "?" for name in names],
        [texts.text(int(name)) or "?" if name >= 0 else "?" for name in files],
        code["first_line"].astype(np.int32),
    ]


def _text_at(resolver: _Resolver, texts: _Texts, address: int) -> str:
    found = int(resolver.ids(np.array([address], np.uint64))[0])
    return (texts.text(found) if found >= 0 else None) or "?"


# -- kernels ---------------------------------------------------------------------------------------------------


def _bucket_table(ordered: np.ndarray) -> tuple[int, np.ndarray]:
    """First position for each value of the top bits above the lowest address: halves the look-up's cache misses."""
    if ordered.size == 0:
        return 63, np.zeros(2, np.int64)
    span = int(ordered[-1] - ordered[0])
    shift = max(0, span.bit_length() - max(4, int(ordered.size).bit_length()))
    heads = ((ordered - ordered[0]) >> np.uint64(shift)).astype(np.int64)
    return shift, np.searchsorted(heads, np.arange(heads[-1] + 2)).astype(np.int64)


@nb.njit(cache=True)
def _look_up(ordered, order, buckets, shift, wanted):
    out = np.empty(wanted.size, np.int32)
    n = ordered.size
    for i in range(wanted.size):
        out[i] = -1
        address = wanted[i]
        if n == 0 or address < ordered[0] or address > ordered[n - 1]:
            continue
        head = np.int64((address - ordered[0]) >> np.uint64(shift))
        low, high = buckets[head], buckets[head + 1]
        while low < high:
            middle = (low + high) >> 1
            if ordered[middle] < address:
                low = middle + 1
            else:
                high = middle
        if low < n and ordered[low] == address:
            out[i] = order[low]
    return out
