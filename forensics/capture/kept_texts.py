"""Texts of a snapshot's values until it is known which of them may be kept: in memory, compressed, never on disk."""

from __future__ import annotations

import bisect
from functools import lru_cache

import pyarrow as pa


class KeptTexts:
    """Pieces of text one after the other, addressed by their position in the whole."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[tuple[bytes, int]] = []
        self.size = 0
        # Whoever asks goes through the positions in order, mostly.
        self._piece = lru_cache(8)(self._unpack)

    def append(self, text: bytes) -> None:
        """Append one piece."""
        if text:
            self._starts.append(self.size)
            self._pieces.append((pa.compress(text, "lz4", asbytes=True), len(text)))
            self.size += len(text)

    def read(self, start: int, size: int) -> bytes:
        """``size`` bytes from position ``start``, which lie within one piece."""
        if size == 0:
            return b""
        number = bisect.bisect_right(self._starts, start) - 1
        begin = start - self._starts[number]
        return self._piece(number)[begin : begin + size]

    def whole(self) -> bytes:
        """Everything, a copy."""
        return b"".join(map(self._unpack, range(len(self._pieces))))

    def clear(self) -> None:
        """Forget everything."""
        self._starts.clear()
        self._pieces.clear()
        self._piece.cache_clear()

    def _unpack(self, number: int) -> bytes:
        packed, size = self._pieces[number]
        return pa.decompress(packed, size, "lz4", asbytes=True)
