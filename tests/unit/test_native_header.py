"""The C header of the stream says what ``forensics.agent.stream`` says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forensics.agent import native, stream

NATIVE = Path(native.__file__).parent
HEADER = (NATIVE / "stream.h").read_text()


@pytest.mark.parametrize(
    ("enumeration", "prefix"),
    [
        (stream.EdgeKind, "EDGE_"),
        (stream.RootKind, "ROOT_"),
        (stream.ObjectFlag, "FLAG_"),
        (stream.ValueKind, "VALUE_"),
    ],
)
def test_enumerations_are_the_same(enumeration: type, prefix: str) -> None:
    body = re.search(rf"enum \w+ {{\n((?:    {prefix}\w+ = \d+,\n)+)}};", HEADER)
    assert body
    found = {name: int(value) for name, value in re.findall(rf"{prefix}(\w+) = (\d+)", body[1])}
    assert found == {member.name: member.value for member in enumeration}


SIZES = {"uint8_t": 1, "uint16_t": 2, "uint32_t": 4, "uint64_t": 8}


@pytest.mark.parametrize(
    ("record", "size"),
    [
        ("block_record", stream.BLOCK.size),
        ("object_record", stream.OBJECT.size),
        ("edge_record", stream.EDGE.size),
        ("code_record", stream.CODE.size),
        ("frame_record", stream.FRAME.size),
        ("root_record", stream.ROOT.size),
        ("value_record", stream.VALUE.size),
    ],
)
def test_records_have_the_same_size(record: str, size: int) -> None:
    body = re.search(rf"struct {record} {{(.*?)}} PACKED;", HEADER, re.DOTALL)
    assert body
    total = 0
    for type_name, names in re.findall(r"(uint\d+_t) ([^;]+);", body[1]):
        for name in names.split(","):
            times = re.search(r"\[(\d+)\]", name)
            total += SIZES[type_name] * (int(times[1]) if times else 1)
    assert total == size


def test_limits_are_the_same() -> None:
    assert f"#define VALUE_LIMIT {stream.VALUE_LIMIT}\n" in HEADER
    assert f"#define KIND_SHIFT {stream.KIND_SHIFT}\n" in HEADER
    assert stream.MAGIC.decode().replace("\n", "\\n") in HEADER
