"""Turns a raw stream into the Arrow files of one snapshot: addresses become ids, values are masked, roots completed.

Objects keep the order in which the walker met them. Everything goes slice by slice; what is in memory for each object
is its address, its place in the order, and the place of its text: thirty bytes or so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.agent.stream import EdgeKind, ObjectFlag, RootKind
from forensics.bundle import SNAPSHOT_SCHEMAS
from forensics.capture.arrow_file import ArrowFile
from forensics.capture.reader import RawSnapshot
from forensics.capture.resolve import References, Resolver, among
from forensics.capture.texts import Texts


def write_snapshot(raw: RawSnapshot, folder: Path, *, values: str, meta: dict[str, Any]) -> dict[str, Any]:
    """Write one snapshot into ``folder``; returns facts for the manifest (objects, references, secrets by kind).

    ``raw`` is used up.

    Parameters
    ----------
    values : "masked", "full" or "none"
    meta : what the snapshot's ``meta.json`` says beside the stream's own header and end
    """
    try:
        resolver = Resolver(raw)
        references = References(raw, resolver, folder)
        objects = ArrowFile(folder / "objects.arrow", SNAPSHOT_SCHEMAS["objects"], resolver.n)
        texts = Texts(raw, resolver, references, objects, values)
        _fill_objects(raw, objects, texts)
        _write(folder, "types", [["?", *raw.type_names.values()]])
        _write(folder, "roots", _roots(raw, resolver, references, texts))
        _write(folder, "frames", _frames(raw, resolver, texts))
        _write(folder, "code", _code(raw, resolver, texts))
        _write(folder, "strings", [texts.pool()])
        facts = {
            "objects": int(resolver.n),
            "references": references.count,
            "dangling": references.dangling,
            "secrets": texts.secrets,
        }
        objects.close()
        references.close()
        (folder / "meta.json").write_text(
            json.dumps({**raw.header, **raw.end, **meta, **facts, "values": values}, indent=2) + "\n"
        )
        return facts
    finally:
        raw.close()


def _fill_objects(raw: RawSnapshot, objects: ArrowFile, texts: Texts) -> None:
    for begin, records in raw.objects.slices():
        here = slice(begin, begin + records.size)
        where = _positions(raw.type_names, records["type"])
        objects["address"][here] = records["address"]
        objects["type"][here] = np.where(where >= 0, where + 1, 0)
        objects["shallow_size"][here] = records["size"].astype(np.int64)
        objects["flags"][here] = records["flags"].astype(np.uint16)
        objects["length"][here] = records["length"].astype(np.int64)
        objects["capacity"][here] = np.minimum(records["capacity"], 0x7FFFFFFF)
        objects["text"][here] = texts.kept[here]
        objects.release()


def _positions(numbered: dict[int, str], numbers: np.ndarray) -> np.ndarray:
    """Where each of ``numbers`` stands among the keys of ``numbered``, in the order of the dict; -1 unknown."""
    known = np.fromiter(numbered, np.int64, len(numbered))
    if not known.size:
        return np.full(numbers.size, -1, np.int64)
    order = np.argsort(known)
    found = np.minimum(np.searchsorted(known, numbers, sorter=order), known.size - 1)
    where = order[found]
    return np.where(known[where] == numbers, where, -1)


def _write(folder: Path, name: str, columns: list[Any]) -> None:
    schema = SNAPSHOT_SCHEMAS[name]
    arrays = [
        values if isinstance(values, pa.Array) else arrow.column(values, kind)
        for values, kind in zip(columns, schema.types, strict=True)
    ]
    with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch(arrays, schema=schema))


def _roots(raw: RawSnapshot, resolver: Resolver, references: References, texts: Texts) -> list[np.ndarray]:
    objects = resolver.ids(raw.roots["address"])
    names = np.array([texts.intern(raw.strings.get(int(name), "")) for name in raw.roots["name"]], np.int32)
    kinds = raw.roots["kind"]
    known = objects >= 0
    native = _held_by_native_code(raw, references, resolver.n)
    return [
        np.concatenate((objects[known], native)).astype(np.int32),
        np.concatenate((kinds[known], np.full(native.size, RootKind.NATIVE, np.uint8))).astype(np.uint8),
        np.concatenate((names[known], np.full(native.size, texts.intern("native code"), np.int32))).astype(
            np.int32
        ),
    ]


def _held_by_native_code(raw: RawSnapshot, references: References, n: int) -> np.ndarray:
    """Objects met only on the collector's lists whose reference count exceeds the references seen.

    The same reckoning as the collector's own (CPython, ``subtract_refs`` in gc.c): what remains comes from outside.
    """
    # A closure's cells are held by the tuple of cells; CLOSURE references only lend them their names.
    lent = among((EdgeKind.WEAK, EdgeKind.CLOSURE))
    counted = np.zeros(n, np.uint32)
    for targets, _, kinds in references.slices():
        _count(counted, targets, kinds, lent)
    found = [np.empty(0, np.int64)]
    for begin, objects in raw.objects.slices():
        left_over = (objects["flags"] & ObjectFlag.GC_LIST_ONLY) != 0
        mortal = (objects["flags"] & ObjectFlag.IMMORTAL) == 0
        more = objects["refcount"] > counted[begin : begin + objects.size]
        found.append(begin + np.flatnonzero(left_over & mortal & more))
    return np.concatenate(found).astype(np.int32)


@nb.njit(cache=True)
def _count(counted, targets, kinds, lent):
    for i in range(targets.size):
        if not lent[kinds[i]]:
            counted[targets[i]] += 1


def _frames(raw: RawSnapshot, resolver: Resolver, texts: Texts) -> list[Any]:
    frames = raw.frames[resolver.ids(raw.frames["address"]) >= 0]
    code = {int(row["address"]): row for row in raw.code}
    thread_names = raw.header.get("threads", {})
    rows = [code.get(int(address)) for address in frames["code"]]
    named = {
        field: resolver.ids(np.array([0 if row is None else row[field] for row in rows], np.uint64))
        for field in ("name", "file")
    }
    return [
        resolver.ids(frames["address"]),
        frames["thread"],
        [str(thread_names.get(str(thread), "")) for thread in frames["thread"]],
        frames["depth"].astype(np.int32),
        _texts_or_unknown(texts, named["name"]),
        _texts_or_unknown(texts, named["file"]),
        frames["line"].astype(np.int32),
    ]


def _code(raw: RawSnapshot, resolver: Resolver, texts: Texts) -> list[Any]:
    code = raw.code[resolver.ids(raw.code["address"]) >= 0]
    return [
        resolver.ids(code["address"]),
        _texts_or_unknown(texts, resolver.ids(code["name"])),
        _texts_or_unknown(texts, resolver.ids(code["file"])),
        code["first_line"].astype(np.int32),
    ]


def _texts_or_unknown(texts: Texts, objects: np.ndarray) -> list[str]:
    found = texts.of(objects)
    return [found.get(obj) or "?" for obj in objects.tolist()]
