"""Records that are too many to keep in memory, in a temporary file without a name; read back slice by slice.

Only what may touch a disk goes there: addresses, sizes, flags, keyed hashes. Texts never do.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from forensics.errors import CaptureError

#: records in a slice
SLICE = 1 << 19


class Spill:
    """Records of one dtype, appended and then read."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self._records = 0
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by ``close`` or with the object

    def __len__(self) -> int:
        return self._records

    def append(self, records: bytes | np.ndarray) -> None:
        """Append packed records.

        Raises
        ------
        CaptureError : the disk for temporary files is full, or fails.
        """
        raw = records.tobytes() if isinstance(records, np.ndarray) else records
        left = memoryview(raw)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise CaptureError(
                f"The references of a snapshot cannot be kept in {tempfile.gettempdir()} while they are sorted out: "
                f"{'the disk is full' if full else error.strerror or error}.",
                advice="Set TMPDIR to a folder on a disk with more room and take the capture again.",
                path=tempfile.gettempdir(),
            ) from error
        self._records += len(raw) // self.dtype.itemsize

    def slices(self) -> Iterator[tuple[int, np.ndarray]]:
        """(position of its first record, records as a read-only array) of each slice, in order."""
        for begin in range(0, self._records, SLICE):
            n = min(SLICE, self._records - begin)
            raw = os.pread(self._file.fileno(), n * self.dtype.itemsize, begin * self.dtype.itemsize)
            yield begin, np.frombuffer(raw, self.dtype)

    def column(self, name: str) -> np.ndarray:
        """One field of all records, a copy."""
        out = np.empty(self._records, self.dtype[name])
        for begin, records in self.slices():
            out[begin : begin + records.size] = records[name]
        return out

    def close(self) -> None:
        """Give the disk's room back."""
        self._file.close()
