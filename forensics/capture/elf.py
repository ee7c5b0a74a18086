"""Symbols of the libraries a process has loaded, read out of its memory.

Nothing is opened by path: the file may lie in another mount namespace, may have been replaced by an upgrade, or may
be unreadable for us, but its dynamic symbols are always mapped. Format: the ELF-64 specification and the GNU hash
section as written by ``ld --hash-style=gnu``; old-style ``DT_HASH`` tables are read too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from forensics.capture.memory import PAGE, Mapping, ProcessMemory

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_LOAD, _DYNAMIC = 1, 2
_EXECUTE = 1
_X86_64 = 62
_STRTAB, _SYMTAB, _HASH, _GNU_HASH = 5, 6, 4, 0x6FFFFEF5


@dataclass(frozen=True)
class Symbol:
    """Where a symbol lies in the process, and how many bytes it has."""

    address: int
    size: int

    def __contains__(self, address: int) -> bool:
        return self.address <= address < self.address + self.size


class ElfImage:
    """One library or executable as it is mapped in a process.

    Raises
    ------
    ValueError : what is mapped there is no ELF-64 image of x86-64, or it has no dynamic symbols.
    OSError : the memory cannot be read.
    """

    def __init__(self, memory: ProcessMemory, mappings: list[Mapping]) -> None:
        self.path = mappings[0].path
        self.mappings = mappings
        self._memory = memory
        start = mappings[0].start
        header = memory.read(start, _HEADER.size)
        if header[:5] != b"\x7fELF\x02":
            raise ValueError(f"{self.path} is not an ELF-64 image")
        (_, _, machine, _, _, table, _, _, _, entry_size, count, *_) = _HEADER.unpack(header)
        if machine != _X86_64:
            raise ValueError(f"{self.path} is not built for x86-64")
        raw = memory.read(start + table, entry_size * count)
        segments = [_SEGMENT.unpack_from(raw, i * entry_size) for i in range(count)]
        loads = [segment for segment in segments if segment[0] == _LOAD]
        #: what to add to an address in the file to get one in the process
        self.bias = start - loads[0][3] // PAGE * PAGE
        self._code_ends = [self.bias + s[3] + s[6] for s in loads if s[1] & _EXECUTE]
        dynamic = next((segment for segment in segments if segment[0] == _DYNAMIC), None)
        if dynamic is None:
            raise ValueError(f"{self.path} has no dynamic symbols")
        tags = dict(struct.iter_unpack("<qQ", memory.read(self.bias + dynamic[3], dynamic[6] // 16 * 16)))
        self._strings, self._symbols = (self._relocated(tags.get(tag, 0)) for tag in (_STRTAB, _SYMTAB))
        self._gnu_hash, self._hash = (self._relocated(tags.get(tag, 0)) for tag in (_GNU_HASH, _HASH))

    @property
    def code(self) -> list[Mapping]:
        """The mappings with code in them."""
        return [mapping for mapping in self.mappings if mapping.executable]

    @property
    def writable(self) -> list[Mapping]:
        """The mappings with the image's own variables."""
        return [mapping for mapping in self.mappings if mapping.writable]

    def symbol(self, name: str) -> Symbol | None:
        """The defined dynamic symbol ``name``, or None."""
        candidates = self._by_gnu_hash(name) if self._gnu_hash else self._by_hash(name)
        for index in candidates:
            entry = self._memory.read(self._symbols + index * _SYMBOL.size, _SYMBOL.size)
            text, _, _, section, value, size = _SYMBOL.unpack(entry)
            if section and value and self._memory.read_text(self._strings + text, len(name) + 1) == name:
                return Symbol(self.bias + value, size)
        return None

    def spare_code(self, size: int) -> int | None:
        """The address of ``size`` bytes that are mapped as code but lie after its end, or None.

        The last page of a code segment is mapped whole; what follows the segment's end is never run.
        """
        for end in self._code_ends:
            start = (end + 15) & ~15
            fits = start + size <= (end + PAGE - 1) // PAGE * PAGE
            if fits and any(start in mapping for mapping in self.code):
                return start
        return None

    def _relocated(self, address: int) -> int:
        # The loader has already added the bias to these entries in most images, never in the vdso.
        return address + self.bias if 0 < address < self.bias else address

    def _by_gnu_hash(self, name: str) -> Iterator[int]:
        base = self._gnu_hash
        n_buckets, first, bloom_size, _ = struct.unpack("<4I", self._memory.read(base, 16))
        wanted = 5381
        for byte in name.encode():
            wanted = (wanted * 33 + byte) & 0xFFFFFFFF
        buckets = base + 16 + bloom_size * 8
        (index,) = struct.unpack("<I", self._memory.read(buckets + wanted % n_buckets * 4, 4))
        chains = buckets + n_buckets * 4
        while index >= first:
            (found,) = struct.unpack("<I", self._memory.read(chains + (index - first) * 4, 4))
            if found | 1 == wanted | 1:
                yield index
            if found & 1:
                return
            index += 1

    def _by_hash(self, name: str) -> Iterable[int]:
        if not self._hash:
            return ()
        _, n_symbols = struct.unpack("<2I", self._memory.read(self._hash, 8))
        return range(1, n_symbols)


def images(memory: ProcessMemory, mappings: list[Mapping]) -> list[ElfImage]:
    """Every ELF image among ``mappings`` that has dynamic symbols, by address."""
    found = []
    files = [mapping for mapping in mappings if mapping.path.startswith("/") or not mapping.path]
    for path, group in groupby(files, key=lambda mapping: mapping.path):
        parts = list(group)
        if not path or parts[0].offset or not any(part.executable for part in parts):
            continue
        try:
            found.append(ElfImage(memory, parts))
        except (ValueError, OSError, struct.error):
            continue
    return found
