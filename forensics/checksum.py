"""Checksums of files: XXH3 of 128 bits, as sure against damage as SHA-256 and many times as fast, and SHA-256."""

from __future__ import annotations

import hashlib
import mmap
import os
from pathlib import Path
from typing import Any

import xxhash

#: Bytes hashed, and then let go of, at a time.
_BLOCK = 1 << 24


def xxh3(file: Path) -> str:
    """The XXH3 of a file, hexadecimal."""
    return _digested(file, xxhash.xxh3_128())[0]


def sha256_and_xxh3(file: Path) -> tuple[str, str]:
    """Both checksums of a file, hexadecimal; it is gone through once."""
    sha256, xxh3 = _digested(file, hashlib.sha256(), xxhash.xxh3_128())
    return sha256, xxh3


def _digested(file: Path, *digests: Any) -> list[str]:
    """What each of ``digests`` makes of a file, which is mapped: to copy a byte can take longer than to hash it."""
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if not size:
            return [digest.hexdigest() for digest in digests]
        with mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as whole:
            for begin in range(0, size, _BLOCK):
                for digest in digests:
                    digest.update(whole[begin : begin + _BLOCK])
                if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
                    mapped.madvise(mmap.MADV_DONTNEED, begin, min(_BLOCK, size - begin))
    return [digest.hexdigest() for digest in digests]
