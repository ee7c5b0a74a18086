"""Heap snapshots of V8 (Node, Chrome): ``forensics import FILE.heapsnapshot --to DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forensics.formats.registry import Loader, register
from forensics.formats.snapshot import save
from forensics.formats.v8.graph import convert, load
from forensics.formats.v8.raw import looks_like, read
from forensics.formats.v8.scripts import code_table


def write(
    path: Path,
    folder: Path,
    *,
    values: str = "masked",
    key: bytes | None = None,
    known: frozenset[str] = frozenset(),
    meta: dict[str, Any],
) -> dict[str, Any]:
    """Write the snapshot at ``path`` into ``folder`` as ours; returns facts for the manifest.

    Parameters
    ----------
    values : "masked", "full" or "none"
    key : of the hashes of values, the same for all snapshots of one capture
    known : names of properties whose values are names too (of tables, for one), and are kept
    meta : what the snapshot's ``meta.json`` says beside what is in the file

    Raises
    ------
    FormatError : the file is damaged, cut short, or none of V8's.
    """
    loaded = convert(read(path), values_kept=values, key=key, known_names=known)
    graph = loaded.graph
    facts = {"objects": len(graph), "references": graph.n_references, "secrets": loaded.secrets}
    save(graph, folder, {**meta, **facts, "values": values})
    return facts


def script_files(path: Path) -> list[str]:
    """The files that the functions in a snapshot were written in, as the process names them; sorted."""
    files = code_table(read(path)).column("file").unique().to_pylist()
    return sorted(file for file in files if file and file != "?")


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
