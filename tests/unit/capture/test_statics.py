"""Containers of Rust's standard library told by their words, in this very process's memory; laid out by hand."""

from __future__ import annotations

import ctypes
import os
import struct

import pytest

from forensics.capture.statics import Held, Reader, Static
from forensics.rules.by_handlers.statics import growing_statics

EMPTY, DELETED = 0xFF, 0x80


class Memory:
    """Blocks of this process's memory, which live as long as this does."""

    def __init__(self) -> None:
        self.blocks: list[ctypes.Array[ctypes.c_char]] = []

    def place(self, data: bytes) -> int:
        """The address of a copy of ``data``, a multiple of 16."""
        block = ctypes.create_string_buffer(len(data) + 256)
        self.blocks.append(block)
        at = -ctypes.addressof(block) % 16
        ctypes.memmove(ctypes.addressof(block) + at, data, len(data))
        return ctypes.addressof(block) + at

    def static(self, *words: int) -> Static:
        return Static("orders::KEPT", self.place(struct.pack(f"<{len(words)}Q", *words)), 8 * len(words))

    def control_bytes(self, marks: bytes) -> int:
        """Of a hash table: a mark for each bucket, and the first group again."""
        return self.place(marks + marks[:16])


@pytest.fixture
def memory():
    return Memory()


def told(static: Static) -> list[tuple[str, int, bool]]:
    found = list(Reader(os.getpid()).containers(static))
    assert all(isinstance(each, Held) and each.static == static.name for each in found)
    return [(each.container, each.elements, each.proved) for each in found]


MARKS = bytes([0x12, 0x7F, 0x00] * 10 + [EMPTY] * 33 + [DELETED])


@pytest.mark.parametrize("lock", [(), (0,), (1,)])
def test_a_hash_table_is_proved_by_its_control_bytes(memory, lock):
    """64 buckets, 30 of them full, one deleted: 56 - 31 may still come."""
    table = memory.control_bytes(MARKS), 63, 25, 30
    assert told(memory.static(*lock, *table, 7, 9)) == [("hash table", 30, True)]
    # rustc may order the fields as it likes
    assert told(memory.static(*lock, *reversed(table))) == [("hash table", 30, True)]


def test_words_that_look_like_a_table_and_are_none(memory):
    control = memory.control_bytes(MARKS)
    assert not told(memory.static(control, 63, 25, 29)), "one item less than there are full marks"
    assert not told(memory.static(control, 62, 25, 30)), "no power of two"
    assert not told(memory.static(control, 63, 50, 30)), "more room than there is"
    assert not told(memory.static(control + 8, 63, 25, 30)), "not aligned"
    torn = memory.place(MARKS + bytes(16))
    assert not told(memory.static(torn, 63, 25, 30)), "the first group is not repeated"
    assert not told(memory.static(16, 63, 25, 30)), "nothing is mapped there"


def test_a_table_behind_a_pointer_is_found(memory):
    """``static KEPT: OnceLock<Arc<Mutex<HashMap<…>>>>``: counts, lock, table."""
    behind = memory.place(struct.pack("<16Q", 1, 1, 0, memory.control_bytes(MARKS), 63, 25, 30, *[0] * 9))
    assert told(memory.static(behind, 3, 0)) == [("hash table", 30, True)]


def test_a_vector_and_a_queue_are_likely(memory):
    block = memory.place(bytes(64))
    assert told(memory.static(0, 128, block, 100)) == [("vector", 100, False)]
    assert told(memory.static(0, 128, block, 90, 100)) == [("queue", 100, False)]


def test_what_may_be_one_thing_or_another_is_not_told(memory):
    block = memory.place(bytes(64))
    assert not told(memory.static(0, 128, block, 100, 3)), "a vector before a lock, or a queue of three"
    assert not told(memory.static(0, 128, block, 200)), "longer than its capacity"
    assert not told(memory.static(0, 0, 8, 0)), "an empty vector: nothing is held"


def test_a_symbol_that_lies_nowhere_is_passed_over():
    assert not told(Static("orders::OF_A_THREAD", 0x40, 64))


def test_another_users_memory_is_an_error_and_no_guess(memory):
    with pytest.raises(OSError, match=r"No such (process|file)"):
        list(Reader(2**22 - 1).containers(memory.static(0, 0, 0)))


def entries(**series):
    length = max(map(len, series.values()))
    return [
        {
            "statics": [
                {"static": name, "container": "hash table", "elements": counts[number], "proved": True}
                for name, counts in series.items()
            ]
        }
        for number in range(length)
    ]


def test_only_what_grows_until_the_end_is_named():
    found = growing_statics(
        entries(leak=[10, 20, 30, 40], full=[10, 90, 100, 100], falls=[10, 40, 5, 50], few=[1, 2, 3, 4])
    )
    assert [(each.name, each.elements) for each in found] == [("leak", (10, 20, 30, 40))]
    assert str(found[0]) == "leak, a hash table of 10 → 20 → 30 → 40 elements (proved by its control bytes)"
    assert not growing_statics([]) and not growing_statics(entries(leak=[10, 90]))
