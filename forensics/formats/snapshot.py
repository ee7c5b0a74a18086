"""Our own snapshots: the Arrow files of one folder, opened by memory map, as a HeapGraph."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.bundle import EXTRA_SCHEMAS, SNAPSHOT_SCHEMAS
from forensics.errors import FormatError, GraphError
from forensics.heap import HeapGraph, columns


def load(folder: Path) -> HeapGraph:
    """Open the snapshot in ``folder``; the arrays are read-only views of memory-mapped files.

    Raises
    ------
    FormatError : a table is missing, unreadable, or has other columns than ``bundle.SNAPSHOT_SCHEMAS``.
    """
    schemas = {
        **SNAPSHOT_SCHEMAS,
        **{name: each for name, each in EXTRA_SCHEMAS.items() if (folder / f"{name}.arrow").exists()},
    }
    opened = {name: _open(folder / f"{name}.arrow", schema) for name, schema in schemas.items()}
    try:
        tables = {name: table for name, (table, _) in opened.items()}
        return _graph(tables, tuple(mapping for _, mapping in opened.values()), folder)
    except GraphError as error:
        raise FormatError(
            f"The tables in {folder} do not fit together: {error.message}",
            advice="The snapshot is damaged; copy the capture again, or take it again.",
            path=str(folder),
        ) from error


def _graph(tables: dict[str, pa.Table], mappings: tuple[mmap.mmap, ...], folder: Path) -> HeapGraph:
    objects, references, roots = tables["objects"], tables["references"], tables["roots"]
    return HeapGraph(
        offsets=_array(tables["offsets"], "offset"),
        targets=_array(references, "target"),
        labels=_array(references, "label"),
        kinds=_array(references, "kind"),
        shallow_sizes=_array(objects, "shallow_size"),
        addresses=_array(objects, "address"),
        types=_array(objects, "type"),
        flags=_array(objects, "flags"),
        lengths=_array(objects, "length"),
        capacities=_array(objects, "capacity"),
        texts=_array(objects, "text"),
        value_hashes=_array(objects, "value_hash"),
        value_classes=_array(objects, "value_class"),
        type_names=_column(tables["types"], "name"),
        strings=_column(tables["strings"], "text"),
        root_objects=_array(roots, "object"),
        root_kinds=_array(roots, "kind"),
        root_names=_array(roots, "name"),
        frames=tables["frames"],
        code=tables["code"],
        meta={**_meta(folder), "folder": str(folder)},
        mappings=mappings,
        unused=tables.get("unused", columns.unused()),
    )


def _meta(folder: Path) -> dict[str, object]:
    try:
        return json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError) as error:
        raise FormatError(
            f"{folder / 'meta.json'} cannot be read: {error}.",
            advice="The snapshot is damaged; copy the capture again, or take it again.",
            path=str(folder),
        ) from error


def _open(path: Path, schema: pa.Schema) -> tuple[pa.Table, mmap.mmap]:
    try:
        with path.open("rb") as file:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        table = pa.ipc.open_file(pa.py_buffer(mapping)).read_all()
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise FormatError(
            f"{path} is not a readable Arrow file: {error}.",
            advice="The snapshot is damaged; copy the capture again, or take it again.",
            path=str(path),
        ) from error
    if not table.schema.equals(schema):
        raise FormatError(
            f"{path} has the columns {table.schema.names}, not {schema.names}.",
            advice="It was made by another version; take the capture again with this one.",
            path=str(path),
        )
    return table, mapping


def _column(table: pa.Table, name: str) -> pa.Array:
    chunks = table.column(name).chunks
    return chunks[0] if len(chunks) == 1 else table.column(name).combine_chunks()


def _array(table: pa.Table, name: str) -> np.ndarray:
    try:
        return arrow.numbers(table.column(name))
    except ValueError as error:
        raise GraphError(f"{name}: {error}.", name=name) from error


def save(
    graph: HeapGraph, folder: Path, meta: dict[str, object], *, written: frozenset[str] = frozenset()
) -> None:
    """Write a graph into ``folder``, which must exist; ``load`` opens it again.

    Parameters
    ----------
    meta : is written beside the graph's own
    written : the tables that are in the folder already
    """
    arrays_of: dict[str, list[Any]] = {
        "objects": [
            *(graph.addresses, graph.types, graph.shallow_sizes, graph.flags, graph.lengths),
            *(graph.capacities, graph.texts, graph.value_hashes, graph.value_classes),
        ],
        "offsets": [graph.offsets],
        "references": [graph.targets, graph.labels, graph.kinds],
        "types": [graph.type_names],
        "strings": [graph.strings],
        "roots": [graph.root_objects, graph.root_kinds, graph.root_names],
        "frames": graph.frames.columns,
        "code": graph.code.columns,
        "unused": graph.unused.columns,
    }
    for name, schema in {**SNAPSHOT_SCHEMAS, **EXTRA_SCHEMAS}.items():
        if name in written or (name in EXTRA_SCHEMAS and not len(arrays_of[name][0])):
            continue
        arrays = [_plain(column, kind) for column, kind in zip(arrays_of[name], schema.types, strict=True)]
        sink = pa.OSFile(str(folder / f"{name}.arrow"), "wb")
        with sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    kept = {name: value for name, value in graph.meta.items() if name != "folder"}
    (folder / "meta.json").write_text(json.dumps({**kept, **meta}, indent=2) + "\n")


def _plain(column: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    array = arrow.column(column, kind) if isinstance(column, np.ndarray) else column
    return array if array.type == kind else array.cast(kind)
