"""An Arrow IPC file that is laid out first and filled afterwards, column by column and slice by slice.

Arrow's own writer takes a whole record batch at once, and readers map a column in one piece only if it came in one
batch; so for ten million objects the writer would need every column of half a gigabyte at the same time.
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pyarrow as pa

from forensics import arrow


class ArrowFile:
    """One record batch on disk whose columns of plain numbers are writable arrays.

    Parameters
    ----------
    path : the file to make
    schema : fields of fixed width without nulls
    rows : how many
    """

    def __init__(self, path: Path, schema: pa.Schema, rows: int) -> None:
        # Memory that nobody has touched is the kernel's one page of zeros: it costs nothing to write it out.
        zeros = [arrow.column(np.zeros(rows, np.dtype(str(kind))), kind) for kind in schema.types]
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(pa.record_batch(zeros, schema=schema))
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


def _places(path: Path, schema: pa.Schema) -> dict[str, tuple[int, np.dtype]]:
    """Byte offset and dtype of each column's values in the file."""
    with pa.memory_map(str(path)) as source:
        whole = source.read_buffer()
        batch = pa.ipc.open_file(pa.BufferReader(whole)).get_batch(0)
        return {
            name: (column.buffers()[1].address - whole.address, np.dtype(str(column.type)))
            for name, column in zip(schema.names, batch.columns, strict=True)
        }
