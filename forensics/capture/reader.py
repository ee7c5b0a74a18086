"""Reads a walker's stream (``forensics.agent.stream``) block by block into columns.

Nothing that the target sends is trusted: kinds, counts and lengths are checked against the bytes that came.
Objects and references, as the addresses they came as, go to temporary files without a name, so that little memory is
needed here. The texts of values stay in memory; masking comes before any file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forensics.agent import stream
from forensics.capture.masking import ValueTable
from forensics.capture.spill import Spill
from forensics.errors import CaptureError

OBJECT = np.dtype(
    [
        ("address", "<u8"),
        ("size", "<u8"),
        ("length", "<u8"),
        ("type", "<u4"),
        ("degree", "<u4"),
        ("capacity", "<u4"),
        ("refcount", "<u4"),
        ("flags", "<u4"),
        ("reserved", "<u4"),
    ]
)
EDGE = np.dtype([("target", "<u8"), ("label", "<u8")])
CODE = np.dtype(
    [("address", "<u8"), ("name", "<u8"), ("file", "<u8"), ("first_line", "<u4"), ("reserved", "<u4")]
)
FRAME = np.dtype(
    [
        ("address", "<u8"),
        ("thread", "<u8"),
        ("code", "<u8"),
        ("depth", "<u4"),
        ("line", "<u4"),
        ("reserved", "<u8"),
    ]
)
ROOT = np.dtype([("address", "<u8"), ("name", "<u4"), ("kind", "u1"), ("reserved", "u1", 3)])

#: No walker writes larger blocks; a larger one is not ours.
BLOCK_LIMIT = 1 << 28
READ_SIZE = 1 << 20


class _Columns(Mapping[str, np.ndarray]):
    """One column of the objects at a time, read from where they lie."""

    def __init__(self, objects: Spill) -> None:
        self._objects = objects

    def __getitem__(self, name: str) -> np.ndarray:
        return self._objects.column(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects.dtype.names or ())

    def __len__(self) -> int:
        return len(self._objects.dtype.names or ())


@dataclass
class RawSnapshot:
    """A whole stream: ``objects`` in the order in which they were met, references still as addresses in ``edges``."""

    header: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    objects: Spill = field(default_factory=lambda: Spill(OBJECT))
    edges: Spill = field(default_factory=lambda: Spill(EDGE))
    type_names: dict[int, str] = field(default_factory=dict)
    strings: dict[int, str] = field(default_factory=dict)
    values: ValueTable = field(default_factory=ValueTable)
    code: np.ndarray = field(default_factory=lambda: np.empty(0, CODE))
    frames: np.ndarray = field(default_factory=lambda: np.empty(0, FRAME))
    roots: np.ndarray = field(default_factory=lambda: np.empty(0, ROOT))

    @property
    def columns(self) -> Mapping[str, np.ndarray]:
        """Columns by object, each a copy."""
        return _Columns(self.objects)

    def close(self) -> None:
        """Give back the disk and the memory."""
        self.objects.close()
        self.edges.close()
        self.values.close()


def read_stream(
    receive: Callable[[int], bytes],
    *,
    keep_values: bool = False,
    hash_key: bytes | None = None,
    progress: Callable[[int], None] = lambda objects: None,
) -> RawSnapshot:
    """Read one stream to its end block.

    Parameters
    ----------
    receive : ``socket.recv`` or the like: at most that many bytes, ``b""`` at the end
    keep_values : keep every value's text, not only those short enough to be a name
    hash_key : 16 bytes shared by the snapshots of one capture, drawn anew by default
    progress : called with the number of objects so far

    Raises
    ------
    CaptureError : the stream was cut short, or is not a walker's stream.
    """
    source = _Source(receive)
    _check_magic(source)
    raw = RawSnapshot(values=ValueTable(keep_all=keep_values, key=hash_key))
    parts: dict[str, list[np.ndarray]] = {kind: [] for kind in "CFR"}
    degrees = 0
    while True:
        kind, count, payload = _block(source)
        if kind == "H":
            raw.header = _json(payload)
        elif kind == "N":
            raw.end = _json(payload)
            break
        elif kind == "X":
            raise CaptureError(f"The walker failed in the target's child: {_json(payload).get('error')}.")
        elif kind == "T":
            _types(payload, count, raw.type_names)
        elif kind == "S":
            _strings(payload, count, raw.strings)
        elif kind == "V":
            raw.values.add(payload, count)
        elif kind == "E":
            _records(payload, count, EDGE, kind)
            raw.edges.append(payload)
        elif kind == "O":
            degrees += int(_records(payload, count, OBJECT, kind)["degree"].sum(dtype=np.int64))
            raw.objects.append(payload)
            progress(len(raw.objects))
        elif kind in parts:
            parts[kind].append(_records(payload, count, {"C": CODE, "F": FRAME, "R": ROOT}[kind], kind))
        else:
            raise CaptureError(f"The target sent a block of unknown kind {kind!r}.", advice=_ADVICE_DAMAGED)
    _finish(raw, parts, degrees)
    return raw


_ADVICE_CUT = (
    "The target's child ended early; look at its memory limit and the kernel's log, then take it again."
)
_ADVICE_DAMAGED = (
    "Agent and toolkit may be of different versions; restart the service with this version's agent."
)


class _Source:
    """Exact reads over ``recv``, with one buffer."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self._buffer = bytearray()

    def exactly(self, n: int) -> bytes:
        while len(self._buffer) < n:
            more = self._receive(max(READ_SIZE, n - len(self._buffer)))
            if not more:
                break
            self._buffer += more
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken


def _check_magic(source: _Source) -> None:
    magic = source.exactly(len(stream.MAGIC))
    if magic == stream.MAGIC:
        return
    if magic.startswith(b"{"):
        line = magic + source.exactly(1 << 20)
        error = json.loads(line.split(b"\n")[0]).get("error", "no reason given")
        raise CaptureError(f"The agent in the target refused: {error}.", advice="See `forensics targets`.")
    if not magic:
        raise CaptureError("The target closed the connection before a snapshot began.", advice=_ADVICE_CUT)
    raise CaptureError(f"The target sent {magic!r} where a snapshot should begin.", advice=_ADVICE_DAMAGED)


def _block(source: _Source) -> tuple[str, int, bytes]:
    head = source.exactly(stream.BLOCK.size)
    if len(head) < stream.BLOCK.size:
        raise CaptureError(
            "The snapshot was cut short: the stream ended without its end block.", advice=_ADVICE_CUT
        )
    kind, count, nbytes = stream.BLOCK.unpack(head)
    if nbytes > BLOCK_LIMIT:
        raise CaptureError(f"The target announced a block of {nbytes} bytes.", advice=_ADVICE_DAMAGED)
    payload = source.exactly(nbytes)
    if len(payload) < nbytes:
        raise CaptureError("The snapshot was cut short in the middle of a block.", advice=_ADVICE_CUT)
    return chr(kind), count, payload


def _json(payload: bytes) -> dict[str, Any]:
    try:
        record = json.loads(payload)
    except ValueError as error:
        raise CaptureError(f"The stream's JSON cannot be read: {error}.", advice=_ADVICE_DAMAGED) from None
    return record if isinstance(record, dict) else {}


def _records(payload: bytes, count: int, dtype: np.dtype, kind: str) -> np.ndarray:
    if count * dtype.itemsize != len(payload):
        raise CaptureError(
            f"A block {kind!r} claims {count} records but has {len(payload)} bytes.", advice=_ADVICE_DAMAGED
        )
    return np.frombuffer(payload, dtype)


def _types(payload: bytes, count: int, into: dict[int, str]) -> None:
    _named(payload, count, into, 12)


def _strings(payload: bytes, count: int, into: dict[int, str]) -> None:
    _named(payload, count, into, 4)


def _named(payload: bytes, count: int, into: dict[int, str], length_at: int) -> None:
    at = 0
    for _ in range(count):
        end = at + length_at + 2
        n = int.from_bytes(payload[at + length_at : end], "little")
        if end + n > len(payload):
            raise CaptureError("A table of names is cut short.", advice=_ADVICE_DAMAGED)
        into[int.from_bytes(payload[at : at + 4], "little")] = payload[end : end + n].decode(
            "utf-8", "replace"
        )
        at = end + n


def _finish(raw: RawSnapshot, parts: dict[str, list[np.ndarray]], degrees: int) -> None:
    for kind, name, dtype in (("C", "code", CODE), ("F", "frames", FRAME), ("R", "roots", ROOT)):
        if parts[kind]:
            setattr(raw, name, np.concatenate(parts[kind]))
        else:
            setattr(raw, name, np.empty(0, dtype))
    if degrees != len(raw.edges):
        raise CaptureError(
            f"The objects claim {degrees} references, {len(raw.edges)} came.", advice=_ADVICE_DAMAGED
        )
