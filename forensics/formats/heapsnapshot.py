"""Heap snapshots of V8 (Node, Chrome): ``forensics import FILE.heapsnapshot --to DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forensics.formats.registry import Loader, register
from forensics.formats.snapshot import save
from forensics.formats.v8.graph import convert, load
from forensics.formats.v8.raw import RawHeap, looks_like, read
from forensics.formats.v8.scripts import code_table
from forensics.formats.v8.tags import tagged


def write(
    raw: RawHeap,
    folder: Path,
    *,
    values: str = "masked",
    key: bytes | None = None,
    known: frozenset[str] = frozenset(),
    meta: dict[str, Any],
) -> dict[str, Any]:
    """Write what ``read`` read into ``folder`` as ours; returns facts for the manifest. ``raw`` is used up.

    Parameters
    ----------
    values : "masked", "full" or "none"
    key : of the hashes of values, the same for all snapshots of one capture
    known : names of properties whose values are names too (of tables, for one), and are kept
    meta : what the snapshot's ``meta.json`` says beside what is in the file
    """
    loaded = convert(raw, values_kept=values, key=key, known_names=known)
    graph = loaded.graph
    facts = {"objects": len(graph), "references": graph.n_references, "secrets": loaded.secrets}
    save(graph, folder, {**meta, **facts, "values": values})
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
