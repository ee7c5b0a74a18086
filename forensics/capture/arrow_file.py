"""An Arrow IPC file that is laid out first and filled afterwards, column by column and slice by slice.

Arrow's own writer takes a whole record batch at once, and readers map a column in one piece only if it came in one
batch; so for ten million objects the writer would need every column of half a gigabyte at the same time.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from forensics import arrow

_SLICE = 1 << 20


class ArrowFile:
    """One record batch on disk whose columns of plain numbers are writable arrays.

    Parameters
    ----------
    path : the file to make
    schema : fields of fixed width without nulls
    rows : how many
    """

    def __init__(self, path: Path, schema: pa.Schema, rows: int) -> None:
        # Memory that nobody has touched is the kernel's one page of zeros: it costs nothing to point to it.
        zeros = [arrow.column(np.zeros(rows, np.dtype(str(kind))), kind) for kind in schema.types]
        with path.open("wb") as file:
            outline = _Outline(file)
            with pa.ipc.new_file(pa.PythonFile(outline, "w"), schema) as writer:
                writer.write_batch(pa.record_batch(zeros, schema=schema))
            outline.reserve()
        del zeros
        with path.open("r+b") as file:
            #: What the columns are views of.
            self.mapping = mmap.mmap(file.fileno(), 0)
        self._columns = {
            name: np.frombuffer(self.mapping, dtype, rows, offset) if rows else np.empty(0, dtype)
            for name, (offset, dtype) in _places(path, schema).items()
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return self._columns[name]

    def release(self) -> None:
        """Give back the memory in which the columns are shown; what was written stays in the file."""
        self.mapping.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Let go of the file; its arrays must not be used any more."""
        self.release()
        self._columns.clear()


class _Outline(io.RawIOBase):
    """Writes what stands between the columns and leaves the columns, which are zeros still, out as holes."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self._holes: list[tuple[int, int]] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        count = memoryview(data).nbytes
        if count < mmap.PAGESIZE:
            return self._file.write(data)
        self._holes.append((self._file.tell(), count))
        self._file.seek(count, io.SEEK_CUR)
        return count

    def reserve(self) -> None:
        """Have the disk keep room for the holes: to find it full when they are filled would be too late.

        Raises
        ------
        OSError : the disk is full.
        """
        self._file.flush()
        try:
            os.posix_fallocate(self._file.fileno(), 0, self._file.tell())
        except (AttributeError, OSError) as error:  # not there on macOS, nor on each file system
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            for begin, count in self._holes:
                self._file.seek(begin)
                for done in range(0, count, _SLICE):
                    self._file.write(bytes(min(_SLICE, count - done)))


def _places(path: Path, schema: pa.Schema) -> dict[str, tuple[int, np.dtype]]:
    """Byte offset and dtype of each column's values in the file."""
    with pa.memory_map(str(path)) as source:
        whole = source.read_buffer()
        batch = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0)
        return {
            name: (column.buffers()[1].address - whole.address, np.dtype(str(column.type)))
            for name, column in zip(schema.names, batch.columns, strict=True)
        }
