"""The sections of a ``.heapsnapshot`` file: found in the mapped file, their numbers and strings read in slices.

A snapshot is one JSON object whose members stand in the order in which V8's serializer writes them
(``HeapSnapshotJSONSerializer::SerializeImpl`` in V8's src/profiler/heap-snapshot-generator.cc). JSON parsers would
need ten times the file's size in memory; here numbers go straight into arrays, and nothing is made before it is
known that the file is long enough to hold as many values as it claims.
"""

from __future__ import annotations

import itertools
import json
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from forensics.errors import FormatError
from forensics.formats.v8.records import NOT_A_NUMBER, next_number, skip_separators
from forensics.heap.compiled import compiled

#: The description of the fields is some kB; a longer one is no snapshot's.
_HEAD_LIMIT = 1 << 20
_SLICE = 1 << 18
#: Records read at a time, and bytes looked through, before the file's pages are let go of.
_STRETCH = 1 << 20
_STRIDE = 1 << 25
_SPACE = b" \t\r\n"
#: (offset, end, first, last) → (offset, record, what is wrong)
Stretch = Callable[[int, int, int, int], tuple[int, int, int]]
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
        self._spans: dict[str, tuple[int, int]] = {}
        self._find()
        self._map.madvise(mmap.MADV_DONTNEED)

    def __enter__(self) -> Sections:
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = np.empty(0, np.uint8)
        self._map.close()

    def __contains__(self, name: str) -> bool:
        return name in self._spans

    def error(self, what: str, offset: int) -> FormatError:
        """A FormatError about this file at a byte offset."""
        return FormatError(
            f"{self.path.name} is not a whole V8 heap snapshot: {what}, at byte {offset:,}.",
            advice=_DAMAGED,
            path=str(self.path),
            offset=offset,
        )

    def span(self, name: str) -> tuple[int, int]:
        """First byte after the opening bracket of an array, and its closing bracket."""
        if name not in self._spans:
            raise self.error(f"it has no {name!r}", len(self._map))
        return self._spans[name]

    # -- finding them ------------------------------------------------------------------------------------------

    def _find(self) -> None:
        at = self._after(0, b"{")
        while True:
            at = self._skip(at)
            if self._byte(at) == b"}":
                return
            end = self._map.find(b'"', at + 1, at + 200)
            if self._byte(at) != b'"' or end < 0:
                raise self.error("a member's name was expected", at)
            name = self._map[at + 1 : end].decode("ascii", "replace")
            at = self._skip(self._after(end + 1, b":"))
            at = self._skip(self._member(name, at))
            if self._byte(at) == b",":
                at += 1

    def _member(self, name: str, at: int) -> int:
        """Note one member; returns the offset after it."""
        opening = self._byte(at)
        if name == "snapshot":
            text = self._map[at : at + _HEAD_LIMIT].decode("utf-8", "replace")
            try:
                self.head, length = json.JSONDecoder().raw_decode(text)
            except (ValueError, RecursionError):
                raise self.error("its description is not JSON", at) from None
            return at + len(text[:length].encode())
        if opening != b"[":
            raise self.error(f"{name!r} is not an array", at)
        if name == "strings":
            end = int(string_array_end(self.bytes, at + 1))
        elif name == "trace_tree":
            end = int(nested_array_end(self.bytes, at + 1))
        else:
            end = self._closing(at + 1)
        if end < 0:
            raise self.error(f"{name!r} has no end", len(self._map))
        self._spans[name] = (at + 1, end)
        return end + 1

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
        """That an array can hold ``values`` numbers at all: each takes a digit and a comma.

        Raises
        ------
        FormatError : it cannot; the count that was claimed is wrong.
        """
        begin, end = self.span(name)
        if values < 0 or 2 * values - 1 > end - begin:
            raise self.error(f"{name!r} cannot hold {values:,} numbers in its {end - begin:,} bytes", begin)

    def records(self, name: str, width: int, count: int | None) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the first record, int64[k, width]) slices of an array of ``count`` records of ``width``.

        The slices are views of one buffer that is filled anew. ``count`` None: as many as there are.
        """
        begin, end = self.span(name)
        if count is not None:
            self.need(name, count * width)
        buffer = np.empty(_SLICE * width, np.int64)
        at, done, released = begin, 0, begin
        while True:
            at, filled, fine = read_numbers(self.bytes, at, end, buffer)
            if not fine:
                raise self.error(f"{name!r} holds something other than numbers", at)
            if filled % width:
                raise self.error(f"{name!r} ends within a record of {width} numbers", at)
            if filled:
                yield done, buffer[:filled].reshape(-1, width)
                done += filled // width
            released = self._release(released, at)
            if at >= end:
                break
            if count is not None and done > count:
                break
        if count is not None and done != count:
            raise self.error(f"{name!r} holds {done:,} records, not the {count:,} that were announced", at)

    def stretches(self, name: str, count: int, read: Stretch) -> Iterator[tuple[int, int, int]]:
        """Read ``count`` records by ``read``; yields (offset, record, what is wrong) of each part.

        Raises
        ------
        FormatError : there are fewer records, or more, or something that is no number.
        """
        at, end = self.span(name)
        released = at
        for first in range(0, count, _STRETCH):
            last = min(count, first + _STRETCH)
            at, done, wrong = read(at, end, first, last)
            if wrong == NOT_A_NUMBER:
                at = int(skip_separators(self.bytes, at, end))
                if at < end:
                    raise self.error(f"{name!r} holds something other than numbers", at)
                raise self.error(f"{name!r} ends in record {done:,} of {count:,}", at)
            yield at, done, wrong
            released = self._release(released, at)
        at = self._beyond_separators(at, end)
        if at < end:
            raise self.error(f"{name!r} holds more than the {count:,} records that were announced", at)

    def _beyond_separators(self, at: int, end: int) -> int:
        while at < end:
            stop = min(at + _STRIDE, end)
            found = int(skip_separators(self.bytes, at, stop))
            self._release(at, found)
            if found < stop:
                return found
            at = found
        return at

    def _release(self, begin: int, end: int) -> int:
        """Let go of the file's pages that were read."""
        first, last = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if last - first < 1 << 24:
            return begin
        self._map.madvise(mmap.MADV_DONTNEED, first, last - first)
        return last

    def strings(self) -> pa.Array:
        """Every string, as an Arrow array of large strings; those with escapes are decoded one by one."""
        begin, end = self.span("strings")
        count, content = count_strings(self.bytes, begin, end)
        if count < 0:
            raise self.error("'strings' holds something other than strings", content)
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
def read_numbers(data, at, end, out):
    """(offset, numbers read, no other characters): whole numbers and commas from ``at`` until ``out`` is full."""
    filled = 0
    at = skip_separators(data, at, end)
    while at < end and filled < out.size:
        value, after = next_number(data, at, end)
        if after < 0:
            return at, filled, False
        out[filled] = value
        filled += 1
        # What separates the last number from the end belongs to it.
        at = skip_separators(data, after, end)
    return at, filled, True


@compiled
def string_array_end(data, at):
    """The closing bracket of an array of strings; -1 where there is none."""
    inside = False
    while at < data.size:
        c = data[at]
        if inside:
            if c == 92:
                at += 1
            elif c == 34:
                inside = False
        elif c == 34:
            inside = True
        elif c == 93:
            return at
        at += 1
    return -1


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
def count_strings(data, at, end):
    """(strings, bytes between their quotes); (-1, offset) where something else stands there."""
    count, content = 0, 0
    while at < end:
        c = data[at]
        if c in (44, 32, 10, 13, 9):
            at += 1
            continue
        if c != 34:
            return -1, at
        begin = at + 1
        at = begin
        while at < end and data[at] != 34:
            at += 2 if data[at] == 92 else 1
        if at >= end:
            return -1, begin
        content += at - begin
        count += 1
        at += 1
    return count, content


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
