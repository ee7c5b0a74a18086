"""Reading files that nobody vouches for: nothing is read beyond a bound, compressed or not."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from forensics.errors import FormatError

#: The most a file may hold once unpacked. Heap profiles of real services are some kB to some MB.
LIMIT_BYTES = 256 << 20

_GZIP = b"\x1f\x8b"


class _Bounded(io.RawIOBase):
    """A reader that raises FormatError once more than ``limit`` bytes came through it."""

    def __init__(self, source: BinaryIO, path: Path, limit: int) -> None:
        self._source, self._path, self._limit, self._seen = source, path, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._source.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            raise FormatError(
                f"{self._path.name} cannot be unpacked after {self._seen} bytes: {error}.",
                advice="The file is damaged or was cut short; take the profile again.",
                path=str(self._path),
                offset=self._seen,
            ) from error
        self._seen += len(data)
        if self._seen > self._limit:
            raise FormatError(
                f"{self._path.name} holds more than {self._limit >> 20} MiB once unpacked; reading stopped there.",
                advice="A heap profile is far smaller: the file is not one, or it is built to exhaust memory.",
                path=str(self._path),
                offset=self._seen,
            )
        buffer[: len(data)] = data
        return len(data)


@contextlib.contextmanager
def open_bounded(path: Path, *, limit: int = LIMIT_BYTES) -> Iterator[io.BufferedReader]:
    """The bytes of a file, gunzipped where it is gzipped; FormatError beyond ``limit`` unpacked bytes."""
    try:
        with path.open("rb") as plain:
            gzipped = plain.read(2) == _GZIP
            plain.seek(0)
            source = cast(BinaryIO, gzip.GzipFile(fileobj=plain) if gzipped else plain)
            yield io.BufferedReader(_Bounded(source, path, limit), 1 << 16)
    except OSError as error:
        raise FormatError(
            f"{path.name} cannot be read: {error.strerror or error}.",
            advice="Check the path, the permissions, and that it is a file.",
            path=str(path),
        ) from error


def read_bounded(path: Path, *, limit: int = LIMIT_BYTES) -> bytes:
    """All bytes of a file, gunzipped where it is gzipped; FormatError beyond ``limit``."""
    with open_bounded(path, limit=limit) as stream:
        return stream.read()


def read_head(path: Path, count: int) -> bytes:
    """Up to ``count`` first bytes, gunzipped where gzipped; what cannot be unpacked counts as absent."""
    if not path.exists():
        raise FormatError(
            f"{path} does not exist.", advice="Give the file that the profiler wrote.", path=str(path)
        )
    if not path.is_file():
        raise FormatError(
            f"{path} is not a file.", advice="Give the file that the profiler wrote.", path=str(path)
        )
    with open_bounded(path) as stream:
        try:
            head = stream.read(count)
        except FormatError:
            head = b""
    if not head and path.stat().st_size == 0:
        raise FormatError(
            f"{path.name} is empty: its writer has written nothing yet, or was killed before it could.",
            advice="memray's aggregated format and profiles of Go are written at the end only: wait, or take "
            "memray's default format, which can be read while it is being written.",
            path=str(path),
        )
    return head


def read_json(path: Path) -> Any:
    """A JSON document, bounded in size and depth; FormatError where it is none."""
    data = read_bounded(path)
    try:
        return json.loads(data)
    except RecursionError as error:
        raise FormatError(
            f"{path.name} nests its JSON too deeply to be a profile.",
            advice="The file is damaged or is not a profile.",
            path=str(path),
        ) from error
    except ValueError as error:
        raise FormatError(
            f"{path.name} is not whole JSON: {error}.",
            advice="The file is damaged or was cut short; take the profile again.",
            path=str(path),
            offset=getattr(error, "pos", None),
        ) from error


@contextlib.contextmanager
def damaged(path: Path, what: str) -> Iterator[None]:
    """Turn what a damaged file makes of plain reading code into a FormatError."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FormatError(
            f"{path.name} is not a well-formed {what}: {type(error).__name__} at {str(error)[:200]}.",
            advice="The file is damaged or was cut short; take the profile again.",
            path=str(path),
        ) from error
