"""Addresses become ids: the references of a raw stream, resolved slice by slice into the snapshot's own files.

An object's id is its position in the order in which the walker met the objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numba as nb
import numpy as np

from forensics.agent.stream import KIND_SHIFT, LABEL_MASK, EdgeKind
from forensics.bundle import SNAPSHOT_SCHEMAS
from forensics.capture.arrow_file import ArrowFile
from forensics.capture.reader import RawSnapshot
from forensics.capture.spill import SLICE, Spill

#: Kinds whose label is the address of an object that is a name, or of a dict's key.
BY_NAME = (EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CLOSURE)
_RESOLVED = np.dtype([("target", "<i4"), ("label", "<i4"), ("kind", "u1")])


class Resolver:
    """Looks addresses up; ids are positions in the order of emission."""

    def __init__(self, raw: RawSnapshot) -> None:
        addresses = raw.objects.column("address")
        self.n = addresses.size
        self._order = np.argsort(addresses).astype(np.int32)
        addresses.sort()  # once more, but in place: taking them in order would need as much memory again
        self._sorted = addresses
        self._shift, self._buckets = _bucket_table(self._sorted)

    def ids(self, addresses: np.ndarray) -> np.ndarray:
        """int32 ids, -1 where no object has that address."""
        wanted = np.ascontiguousarray(addresses, dtype=np.uint64)
        return _look_up(self._sorted, self._order, self._buckets, self._shift, wanted)


class References:
    """Resolved references, CSR, in the snapshot's files: targets, kinds, and labels still as object ids where they
    are objects. ``dangling`` counts those to what the walker never described; they are left out."""

    def __init__(self, raw: RawSnapshot, resolver: Resolver, folder: Path) -> None:
        resolved, dangling = _resolve(raw, resolver)
        self.dangling = int(dangling.size)
        self.count = len(resolved)
        self._file = ArrowFile(folder / "references.arrow", SNAPSHOT_SCHEMAS["references"], len(resolved))
        for begin, rows in resolved.slices():
            for name in ("target", "label", "kind"):
                self._file[name][begin : begin + rows.size] = rows[name]
            self._file.release()
        resolved.close()
        self._offsets = ArrowFile(folder / "offsets.arrow", SNAPSHOT_SCHEMAS["offsets"], resolver.n + 1)
        total = 0
        for begin, objects in raw.objects.slices():
            ends = total + np.cumsum(objects["degree"], dtype=np.int64)
            total = int(ends[-1])
            self._offsets["offset"][begin + 1 : begin + 1 + objects.size] = ends - np.searchsorted(
                dangling, ends
            )
        self._offsets.release()

    @property
    def targets(self) -> np.ndarray:
        """int32 object ids; a view of the file."""
        return self._file["target"]

    @property
    def labels(self) -> np.ndarray:
        """int32, a writable view of the file."""
        return self._file["label"]

    @property
    def kinds(self) -> np.ndarray:
        """uint8, a view of the file."""
        return self._file["kind"]

    def slices(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(targets, labels, kinds) of so many references at a time, views; the labels may be written to."""
        for begin in range(0, self.count, SLICE):
            here = slice(begin, begin + SLICE)
            yield self.targets[here], self.labels[here], self.kinds[here]
            self._file.release()

    def of(self, objects: np.ndarray) -> np.ndarray:
        """int64 indices of the references of several objects."""
        begin, end = self._offsets["offset"][objects], self._offsets["offset"][objects + 1]
        counts = end - begin
        total = int(counts.sum())
        if total == 0:
            return np.empty(0, np.int64)
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(begin, counts) + within

    def children(self, objects: np.ndarray) -> np.ndarray:
        """Targets of the references of several objects."""
        return self.targets[self.of(objects)]

    def close(self) -> None:
        """Let go of the files."""
        self._file.close()
        self._offsets.close()


def _resolve(raw: RawSnapshot, resolver: Resolver) -> tuple[Spill, np.ndarray]:
    """The references that lead somewhere, and the positions (in the stream) of those that do not."""
    resolved = Spill(_RESOLVED)
    dangling = [np.empty(0, np.int64)]
    labelled_by_object = among((*BY_NAME, EdgeKind.KEY))
    for begin, edges in raw.edges.slices():
        rows = np.empty(edges.size, _RESOLVED)
        rows["kind"] = edges["label"] >> np.uint64(KIND_SHIFT)
        rows["target"] = resolver.ids(edges["target"])
        label = edges["label"] & np.uint64(LABEL_MASK)
        rows["label"] = np.minimum(label, 0x7FFFFFFF)
        by_object = labelled_by_object[rows["kind"]]
        rows["label"][by_object] = resolver.ids(label[by_object])
        good = rows["target"] >= 0
        if not good.all():
            dangling.append(begin + np.flatnonzero(~good))
            rows = rows[good]
        resolved.append(rows)
    raw.edges.close()
    return resolved, np.concatenate(dangling)


def among(kinds: tuple[int, ...]) -> np.ndarray:
    """bool[256], true at ``kinds``: a look-up table for columns of kinds."""
    table = np.zeros(256, np.bool_)
    table[list(kinds)] = True
    return table


# -- kernels ---------------------------------------------------------------------------------------------------


def _bucket_table(ordered: np.ndarray) -> tuple[int, np.ndarray]:
    """First position for each value of the top bits above the lowest address: spares the look-up half its steps."""
    if ordered.size == 0:
        return 63, np.zeros(2, np.int32)
    span = int(ordered[-1] - ordered[0])
    shift = max(0, span.bit_length() - min(21, max(4, int(ordered.size).bit_length())))
    edges = ordered[0] + (np.arange((span >> shift) + 2, dtype=np.uint64) << np.uint64(shift))
    return shift, np.searchsorted(ordered, edges).astype(np.int32)


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
