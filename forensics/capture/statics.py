"""Which statics of a Rust program hold containers, and of how many elements: read beside the running process.

A heap profile says who allocated; who holds, it does not. Statics are symbols of the program's writable data: their
words are read with ``process_vm_readv(2)``, which stops nothing, and looked through for containers of ``std``:

- a hash table (``hashbrown::raw::RawTableInner``: control bytes, mask, growth left, items) is **proved** by its control
  bytes: as many of them are marked full as the table says it has items, and the first group is repeated at their end;
- a vector (capacity, pointer, length) or queue (…, head, length) is **likely**: its words fit each other, no more.

Only pointers, lengths and control bytes are looked at, no element is read, and nothing of them is kept but the counts.
What tasks, threads and states of the framework hold is not found: no symbol leads there.
"""

from __future__ import annotations

import itertools
import re
import shutil
import struct
import subprocess
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from forensics.capture.memory import Mapping, ProcessMemory, mappings
from forensics.formats.symbols import loaded_at
from forensics.profiles.room import Room
from forensics.profiles.rust_frames import room_of_rust

#: Bytes of a group of control bytes (SSE2); hashbrown repeats the first group after the last control byte.
_GROUP = 16
#: Larger statics are tables of constants; larger control bytes are not read beside a running service.
_LARGEST_STATIC, _MOST_CONTROL_BYTES = 4096, 64 << 20
#: Where a static refers to the heap (an ``Arc``, a ``Box``), so many bytes there are looked through for tables.
_BEHIND = 128
_TRIES = 3
_SECONDS = 60.0
_LINE = re.compile(r"^([0-9a-f]+) ([0-9a-f]+) [bBdD] (.+?)(?:::h[0-9a-f]{16})?$")


@dataclass(frozen=True)
class Static:
    """A variable of the program: where it lies in the process, and its bytes."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Held:
    """A container that a static holds; ``proved`` where its own control bytes agree, else its words merely fit."""

    static: str
    container: str
    elements: int
    proved: bool


def held_by_statics(pid: int) -> list[Held]:
    """The containers in the statics of the process's own program (not of its libraries), by name.

    Raises
    ------
    OSError : its memory may not be read, or it is gone.
    """
    return list(itertools.chain.from_iterable(Reader(pid).containers(each) for each in statics(pid)))


def statics(pid: int) -> list[Static]:
    """The application's own statics; none where ``nm`` (binutils) is not installed or the program is stripped."""
    tool = shutil.which("nm")
    if tool is None:
        return []
    run = subprocess.run(
        [tool, "-C", "-S", "--defined-only", f"/proc/{pid}/exe"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )
    base, _ = loaded_at(pid)
    found = []
    for line in run.stdout.splitlines():
        match = _LINE.match(line)
        if match and "::" in match[3] and room_of_rust(match[3], "") == Room.APPLICATION:
            size = int(match[2], 16)
            if 24 <= size <= _LARGEST_STATIC:
                found.append(Static(match[3], base + int(match[1], 16), size))
    return sorted(found, key=lambda each: each.name)


def as_entries(found: Sequence[Held]) -> list[dict[str, Any]]:
    """Plain values for a manifest."""
    return [asdict(each) for each in found]


class Reader:
    """The containers in the statics of one process; its mappings are those of the moment when this was made."""

    def __init__(self, pid: int) -> None:
        self.memory = ProcessMemory(pid)
        self.writable = [each for each in mappings(pid) if each.permissions.startswith("rw")]
        self._starts = [each.start for each in self.writable]

    def containers(self, static: Static) -> Iterator[Held]:
        """What one static holds; a static that changes under the reading is read again, and then left out."""
        # variables of threads are symbols, too, whose addresses lie elsewhere
        if not (self._mapping(static.address) and self._mapping(static.address + static.size - 1)):
            return
        for _ in range(_TRIES):
            words = self._words(static.address, static.size)
            found = self._look(static.name, words)
            if words == self._words(static.address, static.size):
                yield from found
                return

    def _look(self, name: str, words: Sequence[int]) -> list[Held]:
        tables = [
            items for at in range(len(words) - 3) if (items := self._table(words[at : at + 4])) is not None
        ]
        if tables:
            return [Held(name, "hash table", items, True) for items in tables]
        listed = self._listed(words)
        if listed is not None:
            return [Held(name, *listed, False)]
        behind = []
        for word in words:
            if self._heap(word):
                there = self._words(word, _BEHIND)
                behind += [
                    items
                    for at in range(len(there) - 3)
                    if (items := self._table(there[at : at + 4])) is not None
                ]
        return [Held(name, "hash table", items, True) for items in behind]

    def _table(self, words: Sequence[int]) -> int | None:
        """The items of a hash table whose four words stand here in any order, None where none does."""
        for control, mask, left, items in itertools.permutations(words):
            buckets = mask + 1
            if control % _GROUP or buckets < 4 or buckets & mask or buckets > _MOST_CONTROL_BYTES:
                continue
            room = mask if buckets < 8 else buckets // 8 * 7
            if not 0 < items <= room or left + items > room or not self._heap(control):
                continue
            try:
                marks = self.memory.read(control, buckets + _GROUP)
            except OSError:
                continue
            full = sum(mark < 0x80 for mark in marks[:buckets])
            again = marks[buckets:] == marks[:_GROUP] if buckets >= _GROUP else True
            if full == items and again:
                return items
        return None

    def _listed(self, words: Sequence[int]) -> tuple[str, int] | None:
        """A vector in the last three words, or a queue in the last four."""

        def fits(capacity: int, pointer: int, length: int) -> bool:
            return 0 < length <= capacity < 1 << 40 and pointer % 8 == 0 and self._heap(pointer)

        if len(words) >= 4 and fits(words[-4], words[-3], words[-1]) and words[-2] < words[-4]:
            # four and less may be the state of a lock that stands behind a vector
            return ("queue", words[-1]) if words[-1] > 4 else None
        return ("vector", words[-1]) if fits(*words[-3:]) else None

    def _heap(self, address: int) -> bool:
        mapping = self._mapping(address)
        return mapping is not None and (not mapping.path or mapping.path.startswith("[heap"))

    def _mapping(self, address: int) -> Mapping | None:
        at = bisect_right(self._starts, address) - 1
        return self.writable[at] if at >= 0 and address in self.writable[at] else None

    def _words(self, address: int, size: int) -> tuple[int, ...]:
        count = size // 8
        try:
            return struct.unpack(f"<{count}Q", self.memory.read(address, 8 * count))
        except OSError as error:
            if error.errno == 14:  # the end of a mapping lies in between
                return ()
            raise
