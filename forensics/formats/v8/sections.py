"""The sections of a ``.heapsnapshot`` file: found in the mapped file, their numbers and strings read in slices.

A snapshot is one JSON object whose members stand in the order in which V8's serializer writes them
(``HeapSnapshotJSONSerializer::SerializeImpl`` in V8's src/profiler/heap-snapshot-generator.cc). JSON parsers would
need ten times the file's size in memory; here numbers go straight into arrays, and nothing is made before it is
known that the file is long enough to hold as many values as it claims. Who reads the sections in their order goes
through the file once: where one ends is known when it has been read.
"""

from __future__ import annotations

import itertools
import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from forensics.errors import FormatError
from forensics.formats.v8.numbers import read_numbers
from forensics.heap.compiled import compiled

#: The description of the fields is some kB; a longer one is no snapshot's.
_HEAD_LIMIT = 1 << 20
#: Records read at a time: their numbers stay in the processor's cache.
_SLICE = 1 << 14
#: Bytes read or looked through before the file's pages are let go of.
_STRIDE = 1 << 24
_SPACE = b" \t\r\n"
_DAMAGED = "The file is damaged or was cut short while it was written; take the snapshot again."


class Sections:
    """The top-level members of one file: where each begins and ends. Use as a context manager.

    Raises
    ------
    FormatError : the file cannot be read, or is not one JSON object of arrays of numbers and strings.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise FormatError(
                f"{path.name} cannot be read: {error}.",
                advice="Check the path, the permissions, and that it is a file with something in it.",
                path=str(path),
            ) from error
        self.bytes = np.frombuffer(self._map, np.uint8)
        self.head: dict[str, Any] = {}
        #: First byte after the opening bracket of each array found so far, and the closing brackets known so far.
        self._begins: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        #: Where the next member is looked for: nowhere once the last one was found.
        self._at: int | None = self._after(0, b"{")
        if not self._find_next() or not self.head:
            raise self.error("it does not begin with its description", 0)

    def __enter__(self) -> Sections:
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = np.empty(0, np.uint8)
        self._map.close()

    def __contains__(self, name: str) -> bool:
        while name not in self._begins and self._find_next():
            pass
        return name in self._begins

    def error(self, what: str, offset: int) -> FormatError:
        """A FormatError about this file at a byte offset."""
        return FormatError(
            f"{self.path.name} is not a whole V8 heap snapshot: {what}, at byte {offset:,}.",
            advice=_DAMAGED,
            path=str(self.path),
            offset=offset,
        )

    def check_end(self) -> None:
        """See that the object ends as it should, whatever else is in it.

        Raises
        ------
        FormatError : it does not.
        """
        while self._find_next():
            pass

    # -- finding them ------------------------------------------------------------------------------------------

    def _find_next(self) -> bool:
        """Note the next member; False where there is none."""
        if self._at is None:
            return False
        if self._begins:
            at = self._skip(self._end(next(reversed(self._begins))) + 1)
            self._at = at + 1 if self._byte(at) == b"," else at
        at = self._skip(self._at)
        if self._byte(at) == b"}":
            self._at = None
            return False
        end = self._map.find(b'"', at + 1, at + 200)
        if self._byte(at) != b'"' or end < 0:
            raise self.error("a member's name was expected", at)
        name = self._map[at + 1 : end].decode("ascii", "replace")
        at = self._skip(self._after(end + 1, b":"))
        if name == "snapshot" and not self.head:
            at = self._skip(self._description(at))
            self._at = at + 1 if self._byte(at) == b"," else at
        elif self._byte(at) != b"[" or name in self._begins:
            raise self.error(f"{name!r} is not an array", at)
        else:
            self._begins[name] = at + 1
        return True

    def _description(self, at: int) -> int:
        """Read the description of the file; returns the offset after it."""
        text = self._map[at : at + _HEAD_LIMIT].decode("utf-8", "replace")
        try:
            self.head, length = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            raise self.error("its description is not JSON", at) from None
        return at + len(text[:length].encode())

    def _begin(self, name: str) -> int:
        """The first byte after the opening bracket of an array."""
        if name not in self:
            raise self.error(f"it has no {name!r}", len(self._map))
        return self._begins[name]

    def _end(self, name: str) -> int:
        """The closing bracket of an array: known from reading it, else looked for."""
        if name not in self._ends:
            begin = self._begins[name]
            if name == "strings":
                end = count_strings(self.bytes, begin)[2]
            elif name == "trace_tree":
                end = nested_array_end(self.bytes, begin)
            else:
                end = self._closing(begin)
            if end < 0:
                raise self.error(f"{name!r} has no end", len(self._map))
            self._ends[name] = int(end)
        return self._ends[name]

    def _closing(self, at: int) -> int:
        """The next closing bracket, -1 where there is none; what was looked at is let go of."""
        while at < len(self._map):
            end = self._map.find(b"]", at, at + _STRIDE)
            self._release(at, min(at + _STRIDE, len(self._map)))
            if end >= 0:
                return end
            at += _STRIDE
        return -1

    def _byte(self, at: int) -> bytes:
        return self._map[at : at + 1]

    def _skip(self, at: int) -> int:
        while at < len(self._map) and self._map[at] in _SPACE:
            at += 1
        if at >= len(self._map):
            raise self.error("it ends too early", at)
        return at

    def _after(self, at: int, wanted: bytes) -> int:
        at = self._skip(at)
        if self._byte(at) != wanted:
            raise self.error(f"{wanted.decode()!r} was expected, {self._byte(at)!r} was found", at)
        return at + 1

    # -- reading them ------------------------------------------------------------------------------------------

    def need(self, name: str, values: int) -> None:
        """That the file can hold ``values`` numbers in this array at all: each takes a digit and a comma.

        Raises
        ------
        FormatError : it cannot; the count that was claimed is wrong.
        """
        begin = self._begin(name)
        left = len(self._map) - begin
        if values < 0 or 2 * values - 1 > left:
            raise self.error(f"{name!r} cannot hold {values:,} numbers in {left:,} bytes", begin)

    def records(self, name: str, width: int, count: int | None) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the first record, int64[k, width]) slices of an array of records of ``width`` numbers.

        The slices are views of one buffer that is filled anew. ``count`` None: as many as there are.

        Raises
        ------
        FormatError : there are fewer records, or more, or something that is no number.
        """
        at = released = self._begin(name)
        buffer = np.empty(_SLICE * width, np.int64)
        done, filled, stop = 0, 0, at
        while at >= stop and stop < len(self._map):
            stop = min(at + _STRIDE, len(self._map))
            full = True
            while full:
                at, filled = map(int, read_numbers(self.bytes, at, stop, buffer, filled))
                full = filled == buffer.size
                whole = filled - filled % width
                rows = buffer[:whole].reshape(-1, width)
                if count is not None and done + len(rows) > count:
                    raise self.error(
                        f"{name!r} holds more than the {count:,} records that were announced", at
                    )
                if whole:
                    yield done, rows
                done += len(rows)
                buffer[: filled - whole] = buffer[whole:filled].copy()
                filled -= whole
            released = self._release(released, at)
        self._ends[name] = at
        if self._byte(at) != b"]":
            what = "holds something other than numbers" if self._byte(at) else "is cut short"
            raise self.error(f"{name!r} {what} in record {done:,}", at)
        if filled:
            raise self.error(f"{name!r} ends within a record of {width} numbers", at)
        if count is not None and done != count:
            raise self.error(f"{name!r} holds {done:,} records, not the {count:,} that were announced", at)

    def offset_after(self, name: str, numbers: int) -> int:
        """Where the last one ends of so many numbers of an array."""
        at, buffer = self._begin(name), np.empty(_SLICE, np.int64)
        while numbers > 0:
            room = buffer[: min(numbers, _SLICE)]
            at, filled = map(int, read_numbers(self.bytes, at, len(self._map), room, 0))
            numbers -= max(filled, 1)
        return at

    def _release(self, begin: int, end: int) -> int:
        """Let go of the file's pages that were read."""
        first, last = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if last - first < _STRIDE:
            return begin
        self._map.madvise(mmap.MADV_DONTNEED, first, last - first)
        return last

    def strings(self) -> pa.Array:
        """Every string, as an Arrow array of large strings; those with escapes are decoded one by one."""
        begin = self._begin("strings")
        count, content, end = map(int, count_strings(self.bytes, begin))
        if end < 0:
            raise self.error("'strings' holds something other than strings, or has no end", content)
        self._ends["strings"] = end
        offsets = np.empty(count + 1, np.int64)
        data = np.empty(content, np.uint8)
        size, bad = copy_strings(self.bytes, begin, end, offsets, data)
        if bad >= 0:
            raise self.error("a string has an escape that JSON does not know", bad)
        self._release(begin, end)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data[:size])]
        found = pa.Array.from_buffers(pa.large_string(), count, buffers)
        try:
            found.validate(full=True)
        except pa.ArrowInvalid:
            return _repaired(offsets, data)
        return found


def _repaired(offsets: np.ndarray, data: np.ndarray) -> pa.Array:
    """Strings that are not all UTF-8 (a cut surrogate, a hostile file): what is broken becomes U+FFFD."""
    raw = data.tobytes()
    cut = offsets.tolist()
    texts = [raw[begin:end].decode("utf-8", "replace") for begin, end in itertools.pairwise(cut)]
    return pa.array(texts, pa.large_string())


# -- kernels -----------------------------------------------------------------------------------------------------


@compiled
def nested_array_end(data, at):
    """The closing bracket of an array of arrays of numbers; -1 where there is none."""
    depth = 1
    while at < data.size:
        if data[at] == 91:
            depth += 1
        elif data[at] == 93:
            depth -= 1
            if depth == 0:
                return at
        at += 1
    return -1


@compiled
def count_strings(data, at):
    """(strings, bytes between their quotes, the closing bracket); (-1, offset, -1) where something else stands."""
    count, content = 0, 0
    while at < data.size and data[at] != 93:
        c = data[at]
        if c in (44, 32, 10, 13, 9):
            at += 1
            continue
        if c != 34:
            return -1, at, -1
        begin = at + 1
        at = begin
        while at < data.size and data[at] != 34:
            at += 2 if data[at] == 92 else 1
        if at >= data.size:
            return -1, begin, -1
        content += at - begin
        count += 1
        at += 1
    return (count, content, at) if at < data.size else (-1, at, -1)


@compiled
def hexadecimal(data, at):
    """The value of four hexadecimal digits, -1 where they are none."""
    value = 0
    for k in range(at, at + 4):
        c = data[k]
        if 48 <= c <= 57:
            value = value * 16 + (c - 48)
        elif 97 <= (c | 32) <= 102:
            value = value * 16 + ((c | 32) - 87)
        else:
            return -1
    return value


@compiled
def copy_strings(data, at, end, offsets, out):
    """Decode every string into ``out`` (UTF-8) and ``offsets``; (bytes written, offset of a bad escape or -1)."""
    size = 0
    number = 0
    while at < end and number < offsets.size - 1:
        if data[at] != 34:
            at += 1
            continue
        offsets[number] = size
        number += 1
        at += 1
        while data[at] != 34:
            c = data[at]
            if c != 92:
                out[size] = c
                size += 1
                at += 1
                continue
            e = data[at + 1]
            at += 2
            if e in (34, 92, 47):
                code = int(e)
            elif e == 110:
                code = 10
            elif e == 116:
                code = 9
            elif e == 114:
                code = 13
            elif e == 98:
                code = 8
            elif e == 102:
                code = 12
            elif e == 117 and at + 4 <= end:
                code = hexadecimal(data, at)
                if code < 0:
                    return size, at
                at += 4
                if 0xD800 <= code < 0xDC00 and at + 6 <= end and data[at] == 92 and data[at + 1] == 117:
                    low = hexadecimal(data, at + 2)
                    if 0xDC00 <= low < 0xE000:
                        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                        at += 6
                if 0xD800 <= code < 0xE000:
                    code = 0xFFFD  # half of a pair: V8 cuts strings without looking
            else:
                return size, at
            if code < 0x80:
                out[size] = code
                size += 1
            elif code < 0x800:
                out[size] = 0xC0 | (code >> 6)
                out[size + 1] = 0x80 | (code & 63)
                size += 2
            elif code < 0x10000:
                out[size] = 0xE0 | (code >> 12)
                out[size + 1] = 0x80 | ((code >> 6) & 63)
                out[size + 2] = 0x80 | (code & 63)
                size += 3
            else:
                out[size] = 0xF0 | (code >> 18)
                out[size + 1] = 0x80 | ((code >> 12) & 63)
                out[size + 2] = 0x80 | ((code >> 6) & 63)
                out[size + 3] = 0x80 | (code & 63)
                size += 4
        at += 1
    offsets[number] = size
    return size, np.int64(-1)
