"""What was computed, kept beside the capture: ``computed/000/`` next to ``snapshots/000/``.

Nothing in there is needed, and nothing is trusted: a result counts only if it was computed from the very arrays of
this graph (by their checksum), if its own checksum fits, and if its numbers are in range, for compiled loops use them
as indices. The checksum is XXH3 with 128 bits: it is there against damage and mistaken identity, not against somebody
who may write into the folder, who could write a fitting one of any kind; SHA-256 took a third of the time of opening a
capture again. A capture that cannot be written to is no error: then results live in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from forensics.checksum import xxh3

from .compiled import frozen

if TYPE_CHECKING:
    from .graph import HeapGraph

#: Raise it when any algorithm behind a result changes.
VERSION = 3
#: Smaller graphs are computed faster than they are looked up.
WORTH_KEEPING = 50_000


class Results:
    """The results of one snapshot on disk; ``load`` gives None for whatever is not there or does not fit."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        self.fingerprint = fingerprint

    @classmethod
    def of(cls, graph: HeapGraph) -> Results | None:
        """Where the results of ``graph`` are kept; None where it does not come from a capture, or is small."""
        folder = graph.meta.get("folder")
        if not isinstance(folder, str) or len(graph) < WORTH_KEEPING:
            return None
        snapshot = Path(folder)
        capture = snapshot.parent.parent
        if snapshot.parent.name != "snapshots" or not (capture / "manifest.json").is_file():
            return None
        return cls(capture / "computed" / snapshot.name, fingerprint(graph))

    def load(
        self, name: str, limits: Mapping[str, tuple[Any, int | None, int, int]]
    ) -> list[np.ndarray] | None:
        """The arrays of a result in the order of ``limits``: by name their dtype, length, least and end of values."""
        index = self._index(name)
        found = []
        for array_name, (dtype, length, low, end) in limits.items():
            array = self._array(self.folder / f"{name}.{array_name}.npy", index.get(array_name))
            if array is None or array.dtype != dtype or array.ndim != 1:
                return None
            if length is not None and len(array) != length:
                return None
            if array.size and (array.min() < low or array.max() >= end):
                return None
            found.append(frozen(array))
        return found

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a result; silently not where that cannot be done."""
        with contextlib.suppress(OSError):
            self._make_folder()
            index = {}
            for array_name, array in arrays.items():
                path = self.folder / f"{name}.{array_name}.npy"
                _replace(path, lambda stream, array=array: np.save(stream, array, allow_pickle=False))
                index[array_name] = xxh3(path)
            self._save_index(name, index)

    def load_record(self, name: str) -> Any:
        """A result that was kept as JSON."""
        return self._index(name).get("record")

    def save_record(self, name: str, record: Any) -> None:
        """Keep a small result as JSON; silently not where that cannot be done."""
        with contextlib.suppress(OSError):
            self._make_folder()
            self._save_index(name, {"record": record, "checksum": _of_record(record)})

    def _index(self, name: str) -> dict[str, Any]:
        try:
            index = json.loads((self.folder / f"{name}.json").read_text())
            if index["version"] != VERSION or index["graph"] != self.fingerprint:
                return {}
            parts: dict[str, Any] = index["parts"]
            if "record" in parts and parts["checksum"] != _of_record(parts["record"]):
                return {}
            return parts
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _save_index(self, name: str, parts: Mapping[str, Any]) -> None:
        text = json.dumps({"version": VERSION, "graph": self.fingerprint, "parts": parts})
        _replace(self.folder / f"{name}.json", lambda stream: stream.write(text.encode()))

    def _array(self, path: Path, digest: str | None) -> np.ndarray | None:
        try:
            if digest is None or xxh3(path) != digest:
                return None
            array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
            return array
        except (OSError, ValueError):
            return None

    def _make_folder(self) -> None:
        # mkdir gives the mode to the last folder alone, not to the parents it makes
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)


def fingerprint(graph: HeapGraph) -> str:
    """A checksum over everything of a graph that results depend on."""
    digest = xxhash.xxh3_128()
    for array in (
        graph.offsets, graph.targets, graph.kinds, graph.labels, graph.shallow_sizes, graph.root_objects,
        graph.root_kinds, graph.root_names, graph.types, graph.texts, graph.value_hashes,
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(array).data)
        graph.release_pages()
    for words in (graph.type_names, graph.strings):
        digest.update(str(len(words)).encode())
        for buffer in words.buffers():
            if buffer is not None:
                digest.update(memoryview(buffer))
    graph.release_pages()
    return digest.hexdigest()


def _replace(path: Path, write: Any) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            write(stream)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _of_record(record: Any) -> str:
    return xxhash.xxh3_128_hexdigest(json.dumps(record, sort_keys=True).encode())
