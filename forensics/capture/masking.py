"""Masking: what of a value leaves the target's memory for a file, and what looks like a secret.

By default a value is reduced to its length, its character classes and a keyed hash. The key is drawn anew for each
capture and never stored, so equal values inside one capture stay equal and nothing can be looked up from outside.
Text is kept only where the graph shows that it is a name (a dict key, an attribute, a local, part of the program's
code) or stands at one of the known keys of ``KNOWN_KEYS``; and never where it looks like a secret.

Hash: SipHash-2-4 (Aumasson and Bernstein, 2012).
"""

from __future__ import annotations

import re
import secrets
import struct

import numba as nb
import numpy as np

from forensics.agent.stream import VALUE, ValueKind
from forensics.capture.kept_texts import KeptTexts
from forensics.capture.spill import Spill
from forensics.errors import CaptureError

#: Values at these keys say which call was made, not what a customer stored.
KNOWN_KEYS = frozenset(
    "RequestId HTTPStatusCode RetryAttempts TableName IndexName Count ScannedCount Select ReturnConsumedCapacity "
    "operation_name service_name __name__ __file__ __qualname__ __module__ __package__".split()
)
#: (start of the type's name, attribute) whose value is kept.
KNOWN_ATTRIBUTES = frozenset(
    [
        ("boto3.resources.", "_name"),
        ("boto3.resources.", "_identifiers"),
        ("threading.", "_name"),
        ("asyncio.", "_name"),
        ("botocore.", "_operation_name"),
        ("botocore.", "_service_name"),
    ]
)
#: Longer texts are never names.
NAME_LIMIT = 200

#: Bits of a value class.
LOWER, UPPER, DIGIT, SPACE, PUNCTUATION, NON_ASCII, HEX_ONLY, NUMERIC = (1 << bit for bit in range(8))
#: Bits 12 to 15 of a value class: index into ``SECRET_KINDS``, 0 none.
SECRET_SHIFT = 12
SECRET_KINDS = (
    "",
    "AWS access key id",
    "AWS secret access key",
    "JSON web token",
    "payment card number",
    "e-mail address",
    "private key",
    "API token",
)

_AWS_ID, _AWS_SECRET, _JWT, _CARD, _EMAIL, _PRIVATE, _TOKEN = range(1, 8)
_PATTERNS = {
    _AWS_ID: re.compile(rb"(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Z0-9])"),
    _AWS_SECRET: re.compile(rb"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[A-Za-z0-9/+]{40}"),
    _JWT: re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    _EMAIL: re.compile(rb"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"),
    _PRIVATE: re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    _TOKEN: re.compile(
        rb"(?:sk_live_|sk_test_|rk_live_|gh[pousr]_|github_pat_|xox[abprs]-|AIza)[A-Za-z0-9_-]{12,}"
    ),
}
_WHOLE = (_AWS_SECRET,)


def secret_kind(text: bytes) -> int:
    """Which of ``SECRET_KINDS`` a text looks like, 0 if none."""
    for kind, pattern in _PATTERNS.items():
        if (pattern.fullmatch if kind in _WHOLE else pattern.search)(text):
            return kind
    return _CARD if _is_card(text) else 0


def _is_card(text: bytes) -> bool:
    digits = [byte - 48 for byte in text if 48 <= byte <= 57]
    if not 13 <= len(digits) <= 19 or re.fullmatch(rb"[0-9][0-9 -]*[0-9]", text) is None:
        return False
    # Issuers' ranges begin with 3 to 6; that and Luhn's sum keep order numbers out, mostly.
    if digits[0] not in (3, 4, 5, 6):
        return False
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


#: What is noted of a value beside its text.
VALUE_ROW = np.dtype(
    [
        ("address", "<u8"),
        ("length", "<i8"),
        ("kind", "u1"),
        ("hash", "<u8"),
        ("class", "<u2"),
        ("start", "<i8"),
        ("size", "<i4"),
    ]
)


class ValueTable:
    """The values of one stream: per value its address, length, class, keyed hash, and the text while it may be a name.

    ``rows`` holds all but the texts, in the order in which they came: address uint64, length int64, kind uint8, hash
    uint64, class uint16, start int64 and size int32 of the text in ``texts`` (start -1: too long to be kept).
    """

    def __init__(self, *, keep_all: bool = False, key: bytes | None = None) -> None:
        self._limit = 1 << 30 if keep_all else NAME_LIMIT * 4
        self._key = struct.unpack("<QQ", key or secrets.token_bytes(16))
        self.rows = Spill(VALUE_ROW)
        self.texts = KeptTexts()

    def add(self, payload: bytes, count: int) -> None:
        """Take one ``V`` block."""
        if count * VALUE.size > len(payload):
            raise CaptureError("A block of values is cut short.", advice="Take the snapshot again.")
        buffer = np.frombuffer(payload, np.uint8)
        address, length, size, kind, start, ok = _index(buffer, count, VALUE.size)
        if not ok:
            raise CaptureError("A block of values is cut short.", advice="Take the snapshot again.")
        hashes, classes, candidate = _digest(buffer, start, size, kind, *map(np.uint64, self._key))
        for row in np.flatnonzero(candidate):
            raw = payload[start[row] : start[row] + size[row]]
            found = secret_kind(_narrow(raw, int(kind[row])))
            classes[row] |= found << SECRET_SHIFT
        kept = size <= self._limit
        text, offsets = _gather(buffer, start, np.where(kept, size, 0))
        starts = np.where(kept, offsets + self.texts.size, -1)
        self.texts.append(text.tobytes())
        rows = np.empty(count, VALUE_ROW)
        columns = (address, length, kind, hashes, classes, starts, size)
        for name, column in zip(VALUE_ROW.names or (), columns, strict=True):
            rows[name] = column
        self.rows.append(rows)

    def close(self) -> None:
        """Forget everything."""
        self.rows.close()
        self.texts.clear()


def decode(raw: bytes, kind: int) -> str:
    """The text of a value as a person reads it."""
    if kind == ValueKind.LATIN1:
        return raw.decode("latin-1")
    if kind == ValueKind.UCS2:
        return raw.decode("utf-16-le", "replace")
    if kind == ValueKind.UCS4:
        return raw.decode("utf-32-le", "replace")
    if kind == ValueKind.FLOAT:
        return repr(struct.unpack("<d", raw)[0]) if len(raw) == 8 else "nan"
    if kind == ValueKind.BYTES:
        return repr(raw)
    return raw.decode("utf-8", "replace")


def _narrow(raw: bytes, kind: int) -> bytes:
    """Wide strings as bytes for the patterns; secrets are ASCII."""
    if kind in (ValueKind.UCS2, ValueKind.UCS4):
        return decode(raw, kind).encode("ascii", "replace")
    return raw


# -- kernels ---------------------------------------------------------------------------------------------------


@nb.njit(cache=True)
def _index(buffer, count, head):
    address = np.empty(count, np.uint64)
    length = np.empty(count, np.int64)
    size = np.empty(count, np.int32)
    kind = np.empty(count, np.uint8)
    start = np.empty(count, np.int64)
    at = 0
    for i in range(count):
        if at + head > buffer.size:
            return address, length, size, kind, start, False
        a = np.uint64(0)
        n = np.uint64(0)
        for k in range(8):
            a |= np.uint64(buffer[at + k]) << np.uint64(8 * k)
            n |= np.uint64(buffer[at + 8 + k]) << np.uint64(8 * k)
        s = np.int64(0)
        for k in range(4):
            s |= np.int64(buffer[at + 16 + k]) << (8 * k)
        if at + head + s > buffer.size:
            return address, length, size, kind, start, False
        address[i] = a
        length[i] = np.int64(n)
        size[i] = s
        kind[i] = buffer[at + 20]
        start[i] = at + head
        at += head + s
    return address, length, size, kind, start, at == buffer.size


@nb.njit(cache=True)
def _gather(buffer, start, size):
    offsets = np.empty(size.size, np.int64)
    total = 0
    for i in range(size.size):
        offsets[i] = total
        total += size[i]
    out = np.empty(total, np.uint8)
    for i in range(size.size):
        for k in range(size[i]):
            out[offsets[i] + k] = buffer[start[i] + k]
    return out, offsets


@nb.njit(cache=True)
def _rotl(x, b):
    return (x << np.uint64(b)) | (x >> np.uint64(64 - b))


@nb.njit(cache=True)
def _round(v0, v1, v2, v3):
    v0 += v1
    v1 = _rotl(v1, 13) ^ v0
    v0 = _rotl(v0, 32)
    v2 += v3
    v3 = _rotl(v3, 16) ^ v2
    v0 += v3
    v3 = _rotl(v3, 21) ^ v0
    v2 += v1
    v1 = _rotl(v1, 17) ^ v2
    v2 = _rotl(v2, 32)
    return v0, v1, v2, v3


@nb.njit(cache=True)
def siphash(buffer, start, size, tag, k0, k1):
    """SipHash-2-4 of ``buffer[start:start + size]`` and one tag byte; uint64."""
    v0 = k0 ^ np.uint64(0x736F6D6570736575)
    v1 = k1 ^ np.uint64(0x646F72616E646F6D)
    v2 = k0 ^ np.uint64(0x6C7967656E657261)
    v3 = k1 ^ np.uint64(0x7465646279746573)
    total = size + 1
    at = 0
    while True:
        m = np.uint64(0)
        here = min(8, total - at)
        for k in range(here):
            byte = np.uint64(tag) if at + k == size else np.uint64(buffer[start + at + k])
            m |= byte << np.uint64(8 * k)
        last = here < 8
        if last:
            m |= np.uint64(total & 0xFF) << np.uint64(56)
        v3 ^= m
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= m
        at += 8
        if last:
            break
    v2 ^= np.uint64(0xFF)
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


@nb.njit(cache=True)
def _digest(buffer, start, size, kind, k0, k1):
    """Per value: keyed hash, character classes, and whether its text is worth a look for secrets."""
    n = start.size
    hashes = np.empty(n, np.uint64)
    classes = np.zeros(n, np.uint16)
    candidate = np.zeros(n, np.bool_)
    for i in range(n):
        hashes[i] = siphash(buffer, start[i], size[i], kind[i], k0, k1)
        if hashes[i] == 0:
            hashes[i] = 1
        if kind[i] == 7:  # float: bits, not characters
            classes[i] = 128
            continue
        bits = 0
        hexadecimal = size[i] > 0
        at_sign = False
        digits = 0
        for k in range(start[i], start[i] + size[i]):
            c = buffer[k]
            if 97 <= c <= 122:
                bits |= 1
                hexadecimal = hexadecimal and c <= 102
            elif 65 <= c <= 90:
                bits |= 2
                hexadecimal = hexadecimal and c <= 70
            elif 48 <= c <= 57:
                bits |= 4
                digits += 1
            elif c in (32, 9, 10, 13):
                bits |= 8
                hexadecimal = False
            elif c >= 128:
                bits |= 32
                hexadecimal = False
            elif c != 0 or kind[i] not in (2, 4):
                bits |= 16
                hexadecimal = False
                at_sign = at_sign or c == 64
        if hexadecimal:
            bits |= 64
        if bits & 63 == 4 or kind[i] in (6, 8):
            bits |= 128
        classes[i] = bits
        worth = at_sign or (13 <= digits <= 19 and digits >= size[i] - 6)
        worth = worth or (size[i] == 40 and bits & 7 == 7 and bits & (8 | 32) == 0)
        if size[i] >= 16 and not worth:
            a, b, c3 = buffer[start[i]], buffer[start[i] + 1], buffer[start[i] + 2]
            worth = (
                (a == 65 and b in (75, 83, 82, 73))  # AKIA ASIA AROA AIDA AIza
                or (a == 101 and b == 121 and c3 == 74)  # eyJ
                or (a == 45 and b == 45 and c3 == 45)  # -----BEGIN
                or (b == 107 and c3 == 95 and a in (115, 114))  # sk_ rk_
                or (a == 103 and (b in (104, 105)))  # ghp_ github_pat_
                or (a == 120 and b == 111 and c3 == 120)  # xox?-
                or (size[i] >= 20 and bits & 2 != 0 and _mentions_key(buffer, start[i], size[i]))
            )
        candidate[i] = worth and kind[i] != 6
    return hashes, classes, candidate


@nb.njit(cache=True)
def _mentions_key(buffer, start, size):
    """A longer text with AKIA (or the like), eyJ or BEGIN somewhere inside."""
    for k in range(start, start + size - 4):
        a, b, c, d = buffer[k], buffer[k + 1], buffer[k + 2], buffer[k + 3]
        if a == 65 and b in (75, 83, 82, 73) and d == 65:
            return True
        if a == 101 and b == 121 and c == 74:
            return True
        if a == 66 and b == 69 and c == 71 and d == 73:
            return True
    return False
