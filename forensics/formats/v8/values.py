"""What of a snapshot's strings is kept: names always, values as their hash and classes unless asked for in full."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics import arrow
from forensics.capture import masking

#: Longer strings are cut by V8 itself.
CUT = 1024
#: Properties of requests and responses whose values are no customer's.
KNOWN = frozenset(
    "requestId extendedRequestId cfId TableName IndexName operation commandName clientName httpStatusCode".split()
)


@dataclass(frozen=True, eq=False)
class Digest:
    """Per string of the table: hashes uint64, classes uint16 (see ``masking``), lengths int64 in characters."""

    hashes: np.ndarray
    classes: np.ndarray
    lengths: np.ndarray
    secret: np.ndarray


def digest(strings: pa.Array, key: bytes | None) -> Digest:
    """Hash and class of every string; ``key`` is the capture's, drawn anew where None."""
    k0, k1 = struct.unpack("<QQ", key or secrets.token_bytes(16))
    offsets = np.frombuffer(strings.buffers()[1], np.int64)[
        strings.offset : strings.offset + len(strings) + 1
    ]
    data = strings.buffers()[2]
    raw = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    sizes = np.diff(offsets).astype(np.int32)
    kinds = np.full(len(strings), 9, np.uint8)  # UTF-8
    hashes, classes, candidate = masking._digest(
        raw, offsets[:-1].copy(), sizes, kinds, np.uint64(k0), np.uint64(k1)
    )
    for row in np.flatnonzero(candidate).tolist():
        found = masking.secret_kind(bytes(raw[offsets[row] : offsets[row + 1]]))
        classes[row] |= found << masking.SECRET_SHIFT
    lengths = arrow.numbers(pc.utf8_length(strings)).astype(np.int64, copy=False)
    return Digest(hashes, classes, lengths, classes >> masking.SECRET_SHIFT != 0)
