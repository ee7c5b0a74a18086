"""Where the columns of a graph are made: in memory, or straight in the files of the snapshot that it becomes.

For a heap of seven million objects they come to half a gigabyte. In the files they need be neither copied nor held:
what is not being worked on is the page cache's, not this process's.
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from forensics.bundle import SNAPSHOT_SCHEMAS
from forensics.capture.arrow_file import ArrowFile


class Storage:
    """Tables of ``SNAPSHOT_SCHEMAS`` to be filled, in the files of ``folder`` or, where it is None, in memory."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._files: dict[str, ArrowFile] = {}

    def table(self, name: str, rows: int) -> dict[str, np.ndarray]:
        """The columns of a table, writable and full of zeros."""
        schema = SNAPSHOT_SCHEMAS[name]
        if self.folder is None:
            return {field.name: np.zeros(rows, np.dtype(str(field.type))) for field in schema}
        file = self._files[name] = ArrowFile(self.folder / f"{name}.arrow", schema, rows)
        return {field.name: file[field.name] for field in schema}

    @property
    def written(self) -> frozenset[str]:
        """The tables that are in the folder already."""
        return frozenset(self._files)

    @property
    def mappings(self) -> tuple[mmap.mmap, ...]:
        """The files that the columns are views of, if any."""
        return tuple(file.mapping for file in self._files.values())

    def release(self) -> None:
        """Give back the memory in which files are shown; what was written stays in them."""
        for file in self._files.values():
            file.release()
