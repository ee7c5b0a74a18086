"""The reader takes nothing on trust: a stream that was cut, altered or invented ends in one clear error."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
from pathlib import Path

import pytest

from forensics.agent import stream
from forensics.agent.stream import (
    CODE,
    EDGE,
    KIND_SHIFT,
    OBJECT,
    ROOT,
    VALUE,
    EdgeKind,
    RootKind,
    StreamWriter,
    ValueKind,
)
from forensics.capture.reader import RawSnapshot, read_stream
from forensics.capture.snapshot import write_snapshot
from forensics.errors import CaptureError, ForensicsError
from forensics.formats.snapshot import load


def small_stream() -> bytes:
    """modules {'orders': m}, m -__dict__-> {'CACHE': [..]}, written by the agent's own writer.

    root ─► dict ─'orders'─► module ─__dict__─► dict ─'CACHE'─► list
    """
    out = bytearray()
    writer = StreamWriter(out.extend)
    writer.json_block(b"H", {"runtime": "python", "version": "3.11.7", "pid": 1, "threads": {}})
    for number, name in enumerate(("dict", "module", "str", "list"), 1):
        writer.type(number, 0x100 * number, name)

    def obj(address: int, type_id: int, *edges: tuple[EdgeKind, int, int]) -> None:
        writer.add(b"O", OBJECT.pack(address, 64, len(edges), type_id, len(edges), len(edges), 1, 0, 0))
        for kind, label, target in edges:
            writer.add(b"E", EDGE.pack(target, label | kind << KIND_SHIFT))

    slot = writer.string_id("__dict__")
    obj(0x1000, 1, (EdgeKind.KEY_OBJECT, 0, 0x5000), (EdgeKind.KEY, 0x5000, 0x2000))
    obj(0x2000, 2, (EdgeKind.SLOT, slot, 0x3000))
    obj(0x3000, 1, (EdgeKind.KEY_OBJECT, 0, 0x6000), (EdgeKind.KEY, 0x6000, 0x4000))
    obj(0x4000, 4, (EdgeKind.ITEM, 0, 0x7000), (EdgeKind.ITEM, 1, 0x8000))
    for address, text in (
        (0x5000, b"orders"),
        (0x6000, b"CACHE"),
        (0x7000, b"private"),
        (0x8000, b"x@example.org"),
    ):
        obj(address, 3)
        writer.add(b"V", VALUE.pack(address, len(text), len(text), ValueKind.LATIN1) + text)
    writer.add(b"C", CODE.pack(0x4000, 0x5000, 0x6000, 12, 0))
    writer.add(b"R", ROOT.pack(0x1000, writer.string_id("sys.modules"), RootKind.MODULES))
    writer.end({"objects": 8, "edges": 7})
    return bytes(out)


def read(raw: bytes, piece: int = 1 << 16) -> RawSnapshot:
    left = memoryview(raw)

    def receive(limit: int) -> bytes:
        nonlocal left
        taken, left = left[: min(limit, piece)], left[min(limit, piece) :]
        return bytes(taken)

    return read_stream(receive)


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_a_stream_becomes_a_graph_whatever_pieces_it_comes_in(tmp_path: Path, piece: int) -> None:
    facts = write_snapshot(read(small_stream(), piece), tmp_path, values="masked", meta={"taken_at": 1.0})

    graph = load(tmp_path)
    texts = [graph.strings[i].as_py() if i >= 0 else None for i in graph.texts]
    assert texts == [None, None, None, None, "orders", "CACHE", None, None]
    assert graph.targets.tolist() == [4, 1, 2, 5, 3, 6, 7]
    assert graph.labels[graph.kinds == EdgeKind.KEY].tolist() == [4, 5]
    assert facts["secrets"] == {"e-mail address": 1}
    assert "private" not in (tmp_path / "strings.arrow").read_bytes().decode("latin-1")


def test_full_values_are_kept_only_when_asked_for(tmp_path: Path) -> None:
    write_snapshot(read(small_stream()), tmp_path, values="full", meta={})
    graph = load(tmp_path)
    assert [graph.strings[i].as_py() for i in graph.texts[6:8]] == ["private", "x@example.org"]


def test_a_stream_cut_at_any_byte_is_a_clear_error() -> None:
    whole = small_stream()
    for end in range(len(whole)):
        with pytest.raises(CaptureError) as caught:
            read(whole[:end])
        assert caught.value.advice


def test_altered_bytes_never_end_in_anything_but_a_clear_error(tmp_path: Path) -> None:
    whole, chance = small_stream(), random.Random(7)
    outcomes = {"read": 0, "refused": 0}
    for attempt in range(1500):
        raw = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        try:
            folder = tmp_path / str(attempt)
            folder.mkdir()
            write_snapshot(read(bytes(raw)), folder, values="masked", meta={})
            load(folder)
            outcomes["read"] += 1
        except ForensicsError:
            outcomes["refused"] += 1
    assert outcomes["read"] and outcomes["refused"]


def test_a_block_of_absurd_size_is_refused_before_it_is_read() -> None:
    raw = stream.MAGIC + stream.BLOCK.pack(ord("V"), 1, 1 << 60)
    with pytest.raises(CaptureError, match="announced a block"):
        read(raw)


def test_the_agents_own_refusal_is_passed_on() -> None:
    with pytest.raises(CaptureError, match="no native walker"):
        read(json.dumps({"error": "no native walker for 3.9"}).encode() + b"\n")


def test_a_failing_walker_says_why() -> None:
    reason = json.dumps({"error": "MemoryError: "}).encode()
    with pytest.raises(CaptureError, match="MemoryError"):
        read(stream.MAGIC + stream.BLOCK.pack(ord("X"), 1, len(reason)) + reason)


def test_no_values_means_names_and_nothing_of_the_data(tmp_path: Path) -> None:
    facts = write_snapshot(read(small_stream()), tmp_path, values="none", meta={})
    graph = load(tmp_path)
    texts = [graph.strings[i].as_py() if i >= 0 else None for i in graph.texts]
    assert texts == [None, None, None, None, "orders", "CACHE", None, None]
    assert not graph.value_hashes.any() and not graph.value_classes.any()
    assert facts["secrets"] == {}


def test_a_number_that_the_target_sends_does_not_decide_how_much_memory_is_taken(tmp_path: Path) -> None:
    out = bytearray()
    writer = stream.StreamWriter(out.extend)
    writer.json_block(b"H", {"runtime": "python"})
    writer.add(b"S", struct.pack("<IH", 0xFFFFFFF0, 1) + b"x")
    writer.type(0xFFFFFFF1, 0x10, "dict")
    writer.end({})
    tracemalloc.start()
    try:
        write_snapshot(read(bytes(out)), tmp_path, values="masked", meta={})
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
