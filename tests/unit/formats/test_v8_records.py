"""Numbers of V8 snapshots: straight from the file's digits into columns, at offsets of more than 32 bits too."""

from __future__ import annotations

import random

import numpy as np
import pytest

from forensics.formats.v8.numbers import read_numbers
from forensics.formats.v8.records import FINE, NOWHERE, OUT_OF_RANGE, keep_edges, keep_nodes

#: Fields as Node 20 orders them: type, name, id, self_size, edge_count, trace_node_id, detachedness.
PLACES = np.array([0, 1, 2, 3, 4], np.int64)
LIMITS = np.array([254, 100, 1 << 60, 1 << 50, 1000], np.int64)


def array_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def numbers_in(text: str, at: int = 0, size: int = 10_000) -> tuple[int, list[int]]:
    """The offset at which reading ended, and what was read."""
    out = np.zeros(size, np.int64)
    end, filled = read_numbers(array_of(text), at, len(text), out, 0)
    return int(end), out[:filled].tolist()


def test_numbers_beyond_the_reach_of_32_bits_are_read(tmp_path):
    file = tmp_path / "sparse"
    text = b"3,7,11,40,2,0,0\n,1,2,13,8,0,0,0" + b" " * 100 + b"]"
    with file.open("wb") as out:  # a hole of more than 2 GB takes no disk
        out.truncate((1 << 31) + (1 << 20))
        out.seek(0, 2)
        out.write(text)
    data = np.memmap(file, np.uint8, "r")
    begin = len(data) - len(text)
    assert begin > 1 << 31
    found = np.zeros(20, np.int64)
    assert read_numbers(data, begin, len(data), found, 0) == (len(data) - 1, 14)
    assert found[:14].tolist() == [3, 7, 11, 40, 2, 0, 0, 1, 2, 13, 8, 0, 0, 0]


@pytest.mark.parametrize("lead", [0, 64, 200])
def test_numbers_of_any_length_between_any_separators(lead):
    """Many times over, so that they begin and end at each place of a block of 64 bytes."""
    dice = random.Random(7)
    for _ in range(50):
        numbers = [dice.choice([1, -1]) * dice.randrange(10 ** dice.randint(1, 18)) for _ in range(300)]
        if dice.random() < 0.7:  # no sign stops the quick way
            numbers = [abs(number) for number in numbers]
        separators = dice.choice([[","], ["\n,", ","], [" , ", ",", "\r\n\t,"], [",", "," + " " * 150]])
        text = " " * lead
        for number in numbers:
            text += str(number) + dice.choice(separators)
        text = text.rstrip(", \r\n\t") + "]"
        assert numbers_in(text, lead) == (len(text) - 1, numbers)
        assert numbers_in(text + " " * 64, lead) == (len(text) - 1, numbers)


def test_reading_goes_on_where_the_room_ended():
    text = " " * 70 + ",".join(map(str, range(1000))) + "]"
    at, found = 70, []
    while True:
        at, some = numbers_in(text, at, 7)
        found += some
        if len(some) < 7:
            break
    assert found == list(range(1000)) and text[at] == "]"


def test_reading_stops_within_a_block_of_the_place_to_stop():
    text = " " * 70 + ",".join(map(str, range(5000, 6000))) + " " * 300 + "]"
    data, out, filled = array_of(text), np.zeros(2000, np.int64), 0
    at, stop = 70, 70
    while at >= stop and stop < len(text):
        stop = min(at + 33, len(text))
        at, filled = read_numbers(data, at, stop, out, filled)
        assert at < stop + 64 + 4
    assert out[:filled].tolist() == list(range(5000, 6000)) and text[at] == "]"


@pytest.mark.parametrize(
    ("text", "read", "rest"),
    [
        ("1,2,x,3", [1, 2], "x,3"),
        ("1,2,[3]", [1, 2], "[3]"),
        ('12,"13"', [12], '"13"'),
        ("", [], ""),
        ("1,2", [1, 2], ""),  # cut short
        ("1,2,", [1, 2], ""),
        ("1,-", [1], "-"),
        ("1," + "9" * 19 + ",2", [1], "9" * 19 + ",2"),
        ("1," + "9" * 400, [1], "9" * 400),
    ],
)
@pytest.mark.parametrize("around", [0, 64, 130])
def test_reading_ends_at_what_is_no_number(text, read, rest, around):
    padded = " " * around + text
    at, found = numbers_in(padded, around)
    assert found == read and padded[at:] == rest


@pytest.mark.parametrize(
    ("second", "wrong"),
    [
        ([255, 7, 11, 40, 2, 0, 0], OUT_OF_RANGE),
        ([3, 101, 11, 40, 2, 0, 0], OUT_OF_RANGE),
        ([3, 7, 11, -40, 2, 0, 0], OUT_OF_RANGE),
        ([3, 7, 11, 40, 1001, 0, 0], OUT_OF_RANGE),
        ([3, 7, 13, 40, 2, -1, 1 << 62], FINE),  # fields that nobody reads
    ],
)
def test_nodes_are_kept_as_long_as_they_are_in_range(second, wrong):
    rows = np.array([[3, 7, 11, 40, 2, 0, 0], second], np.int64)
    types, names, ids = np.zeros(3, np.uint8), np.zeros(3, np.int32), np.zeros(3, np.uint64)
    sizes, counts = np.zeros(3, np.int64), np.zeros(3, np.int64)
    row, told = keep_nodes(rows, PLACES, LIMITS, 1, types, names, ids, sizes, counts)
    assert (row, told) == (2 if wrong == FINE else 1, wrong)
    assert [column[1] for column in (types, names, ids, sizes, counts)] == [3, 7, 11, 40, 2]
    if wrong == FINE:
        assert ids.tolist() == [0, 11, 13]


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ([2, 5, 14], FINE),
        ([2, 5, 15], NOWHERE),
        ([2, 5, 21], NOWHERE),
        ([2, -1, 14], OUT_OF_RANGE),
        ([255, 5, 14], OUT_OF_RANGE),
        ([2, 5, -7], OUT_OF_RANGE),
    ],
)
def test_an_edge_leads_to_the_beginning_of_a_node(row, wrong):
    kinds, labels, targets = np.zeros(1, np.uint8), np.zeros(1, np.int32), np.zeros(1, np.int32)
    told = keep_edges(np.array([row], np.int64), PLACES[:3], 7, 3, 1 << 20, 0, kinds, labels, targets)
    assert told[1] == wrong
    if wrong == FINE:
        assert (kinds[0], labels[0], targets[0]) == (2, 5, 2)
