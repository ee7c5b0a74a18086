"""Which values of a snapshot are kept as text, and the pool of its strings.

Kept are names, as the graph shows them, and what stands at one of the known keys of ``masking``; with ``values`` "full"
everything. The rest leaves its keyed hash and character classes in the objects' table, and with "none" nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.agent.stream import EdgeKind
from forensics.capture import masking
from forensics.capture.arrow_file import ArrowFile
from forensics.capture.reader import RawSnapshot
from forensics.capture.resolve import BY_NAME, References, Resolver, among

_STATIC = (EdgeKind.SLOT, EdgeKind.INTERNAL)
_CODE_TEXTS = ("co_filename", "co_name", "co_qualname", "__name__", "__qualname__", "__module__")
_CODE_TUPLES = ("co_consts", "co_names", "co_localsplusnames", "co_varnames", "co_freevars", "co_cellvars")


class Texts:
    """Decides which values are kept as text, and holds the pool of strings of the snapshot.

    Fills ``value_hash`` and ``value_class`` of ``objects``, rewrites the labels of ``references`` from the ids of the
    objects that are names to places in the pool, and has in ``kept`` (int32 by object) each object's place there.
    """

    def __init__(
        self, raw: RawSnapshot, resolver: Resolver, references: References, objects: ArrowFile, values: str
    ) -> None:
        self._raw = raw
        self._pool: dict[str, int] = {}
        n = resolver.n
        self.kept = np.full(n, -1, np.int32)
        self._row = np.full(n, -1, np.int32)
        self._secret = np.zeros(n, np.bool_)
        self.secrets: dict[str, int] = {}
        self._place(resolver, objects, values)
        self._keep(_names(references, n))
        self._label_strings(references)
        self._keep(self._known_values(references, program_only=values == "none"))
        if values == "full":
            self._keep(np.flatnonzero(self._row >= 0), secrets_too=True)

    def pool(self) -> pa.Array:
        """Every string of the snapshot."""
        return arrow.column(list(self._pool), pa.large_string())

    def intern(self, text: str) -> int:
        """The place of ``text`` in the pool."""
        return self._pool.setdefault(text, len(self._pool))

    def of(self, objects: np.ndarray) -> dict[int, str]:
        """The texts of those of ``objects`` that have one in the stream, kept or not."""
        return dict(self._decoded(np.unique(objects[objects >= 0])))

    def _place(self, resolver: Resolver, objects: ArrowFile, values: str) -> None:
        found = np.zeros(len(masking.SECRET_KINDS) + 16, np.int64)
        for begin, rows in self._raw.values.rows.slices():
            owner = resolver.ids(rows["address"])
            known = owner >= 0
            owner, rows = owner[known], rows[known]
            self._row[owner] = begin + np.flatnonzero(known)
            kinds = rows["class"] >> masking.SECRET_SHIFT
            self._secret[owner] = kinds != 0
            if values != "none":
                found += np.bincount(kinds, minlength=found.size)
                objects["value_hash"][owner] = rows["hash"]
                objects["value_class"][owner] = rows["class"]
                objects.release()
        self.secrets = {
            kind: int(count)
            for kind, count in zip(masking.SECRET_KINDS, found, strict=False)
            if kind and count
        }

    def _decoded(self, objects: np.ndarray) -> Iterator[tuple[int, str]]:
        rows = self._row[objects]
        order = np.argsort(rows, kind="stable")
        objects, rows = objects[order], rows[order]
        for begin, noted in self._raw.values.rows.slices():
            first, last = np.searchsorted(rows, (begin, begin + noted.size))
            here = noted[rows[first:last] - begin]
            columns = (objects[first:last], here["start"], here["size"], here["kind"])
            for obj, start, size, kind in zip(*(column.tolist() for column in columns), strict=True):
                if start >= 0:
                    yield obj, masking.decode(self._raw.values.texts.read(start, size), kind)

    def _keep(self, objects: np.ndarray, *, secrets_too: bool = False) -> None:
        usable = (self._row[objects] >= 0) & (self.kept[objects] < 0)
        if not secrets_too:
            usable &= ~self._secret[objects]
        for obj, text in self._decoded(objects[usable]):
            if secrets_too or len(text) <= masking.NAME_LIMIT:
                self.kept[obj] = self.intern(text)

    def _label_strings(self, references: References) -> None:
        """Labels as HeapGraph wants them: indices into the pool for names, object ids for keys, positions."""
        by_name, static = among(BY_NAME), among(_STATIC)
        # Sorted ids and not a table by id: the target may send any number, and memory must not follow it.
        ids = np.sort(np.fromiter(self._raw.strings, np.int64, len(self._raw.strings)))
        places = np.array([self.intern(self._raw.strings[number]) for number in ids.tolist()], np.int32)
        for _, labels, kinds in references.slices():
            named = by_name[kinds]
            objects = labels[named]
            labels[named] = np.where(objects >= 0, self.kept[objects], -1)
            numbered = static[kinds]
            numbers = labels[numbered]
            labels[numbered] = _looked_up(ids, places, numbers)

    def _known_values(self, references: References, *, program_only: bool) -> np.ndarray:
        """Objects whose value is kept because of where it stands; or only what is the program's own text."""
        known = (key for key in masking.KNOWN_KEYS if key in self._pool)
        at_keys = self._marked(key for key in known if key[0] == "_" or not program_only)
        at_slots = at_keys | self._marked(_CODE_TEXTS)
        tuples = self._marked(_CODE_TUPLES)
        found, held = [], []
        for targets, labels, kinds in references.slices():
            keyed = kinds == EdgeKind.KEY
            owners = labels[keyed]
            found.append(targets[keyed][at_keys[np.where(owners >= 0, self.kept[owners], -1)]])
            attribute = kinds == EdgeKind.ATTRIBUTE
            found.append(targets[attribute][at_keys[labels[attribute]]])
            slot = kinds == EdgeKind.SLOT
            in_slots, names = targets[slot], labels[slot]
            found.append(in_slots[at_slots[names]])
            held.append(in_slots[tuples[names]])
        if not program_only:
            found.append(self._values_by_type(references))
        if held:
            found.append(references.children(np.unique(np.concatenate(held))))
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int32)

    def _marked(self, texts) -> np.ndarray:
        """bool by place in the pool, true at ``texts``; the last one, for -1, is false."""
        marked = np.zeros(len(self._pool) + 1, np.bool_)
        marked[[self._pool[text] for text in texts if text in self._pool]] = True
        return marked

    def _values_by_type(self, references: References) -> np.ndarray:
        """``KNOWN_ATTRIBUTES``, and the names of asyncio's tasks."""
        types = self._raw.columns["type"]
        found = [np.empty(0, np.int32)]
        for prefix, attribute in masking.KNOWN_ATTRIBUTES:
            if attribute not in self._pool:
                continue
            ids = [number for number, name in self._raw.type_names.items() if name.startswith(prefix)]
            if not ids:
                continue
            owners = np.flatnonzero(np.isin(types, ids)).astype(np.int32)
            edges = references.of(owners)
            keys = references.kinds[edges] == EdgeKind.KEY
            named = references.labels[edges] == self._pool[attribute]
            found.append(references.targets[edges[named & ~keys]])
            # Where the instance has a real __dict__ the attribute is a key of it.
            in_dict = references.labels[edges] == self._pool.get("__dict__", -2)
            inner = references.of(np.unique(references.targets[edges[in_dict]]))
            inner = inner[references.kinds[inner] == EdgeKind.KEY]
            key_objects = references.labels[inner]
            at_name = np.where(key_objects >= 0, self.kept[key_objects], -1) == self._pool[attribute]
            found.append(references.targets[inner[at_name]])
        tasks = [number for number, name in self._raw.type_names.items() if name.endswith("asyncio.Task")]
        if tasks:
            owners = np.flatnonzero(np.isin(types, tasks)).astype(np.int32)
            texts = self.of(references.children(owners))
            names = [obj for obj, text in texts.items() if text.startswith("Task-") and text[5:].isdigit()]
            found.append(np.array(names, np.int32))
        return np.concatenate(found)


def _looked_up(ids: np.ndarray, places: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The place of each of ``numbers`` by the sorted ``ids``; -1 where it is none of them."""
    if not ids.size:
        return np.full(numbers.size, -1, np.int32)
    at = np.minimum(np.searchsorted(ids, numbers), ids.size - 1)
    return np.where(ids[at] == numbers, places[at], -1)


def _names(references: References, n: int) -> np.ndarray:
    """Ids of the objects that are names: labels of attributes, locals and closures, and dict keys."""
    by_name = among(BY_NAME)
    is_name = np.zeros(n, np.bool_)
    for targets, labels, kinds in references.slices():
        objects = labels[by_name[kinds]]
        is_name[objects[objects >= 0]] = True
        is_name[targets[kinds == EdgeKind.KEY_OBJECT]] = True
    return np.flatnonzero(is_name)
