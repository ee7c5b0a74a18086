"""Heap snapshots of V8 (Node, Chrome): ``forensics import FILE.heapsnapshot --to DIR``."""

from __future__ import annotations

from typing import Any

from forensics.formats.registry import Loader, register
from forensics.formats.snapshot import save
from forensics.formats.v8.graph import convert, load
from forensics.formats.v8.raw import RawHeap, looks_like, read
from forensics.formats.v8.scripts import code_table
from forensics.formats.v8.tags import tagged


def write(
    raw: RawHeap,
    *,
    values: str = "masked",
    key: bytes | None = None,
    known: frozenset[str] = frozenset(),
    meta: dict[str, Any],
) -> dict[str, Any]:
    """Write what ``read`` began in a folder as ours; returns facts for the manifest. ``raw`` is used up.

    Parameters
    ----------
    raw : read with the folder to write to
    values : "masked", "full" or "none"
    key : of the hashes of values, the same for all snapshots of one capture
    known : names of properties whose values are names too (of tables, for one), and are kept
    meta : what the snapshot's ``meta.json`` says beside what is in the file
    """
    if raw.storage.folder is None:
        raise ValueError("The snapshot was read into memory; it is written where it was read to.")
    loaded = convert(raw, values_kept=values, key=key, known_names=known)
    graph = loaded.graph
    facts = {"objects": len(graph), "references": graph.n_references, "secrets": loaded.secrets}
    save(graph, raw.storage.folder, {**meta, **facts, "values": values}, written=raw.storage.written)
    raw.storage.release()
    return facts


def script_files(raw: RawHeap) -> list[str]:
    """The files that the functions in a snapshot were written in, as the process names them; sorted."""
    files = code_table(raw).column("file").unique().to_pylist()
    return sorted(file for file in files if file and file != "?")


__all__ = ["read", "script_files", "tagged", "write"]

register(
    Loader(
        name="heapsnapshot",
        writes="Node's v8.writeHeapSnapshot and --heapsnapshot-signal, Chrome's DevTools",
        suffixes=(".heapsnapshot",),
        recognises=looks_like,
        load=load,
        makes="graph",
    )
)
