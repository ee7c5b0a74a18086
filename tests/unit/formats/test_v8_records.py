"""Numbers of V8 snapshots: straight from the file's digits into columns, at offsets of more than 32 bits too."""

from __future__ import annotations

import numpy as np
import pytest

from forensics.formats.v8.records import (
    FINE,
    NOT_A_NUMBER,
    NOWHERE,
    OUT_OF_RANGE,
    next_number,
    read_edges,
    read_nodes,
)

#: Fields as Node 20 orders them: type, name, id, self_size, edge_count, trace_node_id, detachedness.
ROLES = np.array([0, 1, 2, 3, 4, -1, -1], np.int8)
LIMITS = np.array([254, 100, 1 << 60, 1 << 50, 1000], np.int64)


def array_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def nodes_of(data: np.ndarray, at: int, count: int):
    types, names, ids = np.zeros(count, np.uint8), np.zeros(count, np.int32), np.zeros(count, np.uint64)
    sizes, counts = np.zeros(count, np.int64), np.zeros(count, np.int32)
    told = read_nodes(data, at, len(data), ROLES, LIMITS, 0, count, types, names, ids, sizes, counts)
    return told, (types, names, ids, sizes, counts)


def test_nodes_beyond_the_reach_of_32_bits_are_read(tmp_path):
    file = tmp_path / "sparse"
    text = b"3,7,11,40,2,0,0\n,1,2,13,8,0,0,0"
    with file.open("wb") as out:  # a hole of more than 2 GB takes no disk
        out.truncate((1 << 31) + (1 << 20))
        out.seek(0, 2)
        out.write(text)
    data = np.memmap(file, np.uint8, "r")
    begin = len(data) - len(text)
    assert begin > 1 << 31
    (at, done, wrong), columns = nodes_of(data, begin, 2)
    assert (at, done, wrong) == (len(data), 2, FINE)
    assert [column.tolist() for column in columns] == [[3, 1], [7, 2], [11, 13], [40, 8], [2, 0]]


@pytest.mark.parametrize(
    ("text", "wrong", "node"),
    [
        ("3,7,11,40,2,0,0,1,2", NOT_A_NUMBER, 1),
        ('3,7,11,"x",2,0,0', NOT_A_NUMBER, 0),
        ("3,7," + "9" * 400 + ",40,2,0,0", NOT_A_NUMBER, 0),
        ("3,101,11,40,2,0,0", OUT_OF_RANGE, 0),
        ("3,7,11,-40,2,0,0", OUT_OF_RANGE, 0),
        ("255,7,11,40,2,0,0", OUT_OF_RANGE, 0),
    ],
)
def test_what_is_wrong_with_a_node_is_told_with_its_number(text, wrong, node):
    (_, found, told), _ = nodes_of(array_of(text), 0, 2)
    assert (told, found) == (wrong, node)


@pytest.mark.parametrize(
    ("text", "wrong"), [("2,5,14", FINE), ("2,5,15", NOWHERE), ("2,5,21", NOWHERE), ("2,-1,14", OUT_OF_RANGE)]
)
def test_an_edge_leads_to_the_beginning_of_a_node(text, wrong):
    kinds, labels, targets = np.zeros(1, np.uint8), np.zeros(1, np.int32), np.zeros(1, np.int32)
    roles = np.array([0, 1, 2], np.int8)
    data = array_of(text)
    told = read_edges(data, 0, len(data), roles, 7, 3, 1 << 20, 0, 1, kinds, labels, targets)
    assert told[2] == wrong
    if wrong == FINE:
        assert (kinds[0], labels[0], targets[0]) == (2, 5, 2)


def test_numbers_with_separators_before_them():
    data = array_of(" ,\n\t-12,7")
    value, at = next_number(data, 0, len(data))
    assert (value, at) == (-12, 7)
    assert next_number(data, at, len(data)) == (7, len(data))
    assert next_number(data, len(data), len(data))[1] == -1
