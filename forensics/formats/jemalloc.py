"""jemalloc's own heap dumps (``heap_v2/…`` text), unsampled as ``jeprof`` does it."""

from __future__ import annotations

import bisect
import io
import math
import re
from pathlib import Path

from forensics.errors import FormatError
from forensics.formats.bounded import damaged, open_bounded
from forensics.formats.registry import Loader, register
from forensics.profiles.builder import LARGEST, ProfileBuilder
from forensics.profiles.model import AllocationProfile, Frame, Origin

_MAGIC = b"heap_v2/"
_LINE_BYTES = 1 << 16
_COUNTS = re.compile(rb"^\s*t(\*|\d+): (\d+): (\d+) \[(\d+): (\d+)\]\s*(.*)$")
_MAPPING = re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) \S+ \d+\s*(.*)$")


def recognises(head: bytes) -> bool:
    """A dump opens with ``heap_v2/`` and the sampling period."""
    return head.startswith(_MAGIC)


def unsampled(count: int, size: int, period: int) -> tuple[int, int]:
    """(count, bytes) of a sample scaled up to what was allocated, by 1 / (1 - exp(-mean size / period)).

    Source: jemalloc's ``jeprof``, ``AdjustSamples`` for heap_v2; the same formula is in Go's runtime.
    """
    if count <= 0 or size <= 0 or period <= 1:
        return count, size
    scale = 1 / -math.expm1(-(size / count) / period)
    return round(count * scale), round(size * scale)


def load(path: Path) -> AllocationProfile:
    """Read a dump line by line; live is what is not freed, allocated is known with ``prof_accum`` only.

    Raises
    ------
    FormatError : not a dump, cut within its stacks, or numbers beyond 64 bits.
    """
    with damaged(path, "jemalloc heap dump"), open_bounded(path) as stream:
        first = stream.readline(_LINE_BYTES)
        if not first.startswith(_MAGIC):
            raise ValueError("its first line, which does not say heap_v2")
        period = int(first[len(_MAGIC) :])
        if not 0 < period <= LARGEST:
            raise ValueError(f"the sampling period {period}")
        return _read(path, stream, period)


def _read(path: Path, stream: io.BufferedReader, period: int) -> AllocationProfile:
    samples: list[tuple[tuple[int, ...], bytes, list[int]]] = []
    announced: list[int] | None = None
    threads: dict[bytes, str] = {}
    stack: tuple[int, ...] | None = None
    maps: list[tuple[int, int, int, str]] = []
    in_maps = False
    while line := stream.readline(_LINE_BYTES):
        if line.startswith(b"@"):
            stack = tuple(int(each, 16) for each in line[1:].split())
        elif line.startswith(b"MAPPED_LIBRARIES"):
            in_maps = True
        elif in_maps:
            if match := _MAPPING.match(line.rstrip()):
                name = match[5].decode("utf-8", "replace")
                maps.append((int(match[1], 16), int(match[2], 16), int(match[4], 16), name))
        elif match := _COUNTS.match(line):
            numbers = [int(match[k]) for k in range(2, 6)]
            if max(numbers) > LARGEST:
                raise ValueError(f"the number {max(numbers)}")
            if stack is None:
                if match[1] == b"*":
                    announced = numbers
                elif match[6]:
                    threads[match[1]] = match[6].decode("utf-8", "replace")
            else:
                samples.append((stack, match[1], numbers))
        elif line.strip():
            raise ValueError(f"the line {line[:60]!r}")
    if announced is None:
        raise ValueError("its totals, which are missing")
    return _profile(path, period, announced, samples, threads, sorted(maps))


def _profile(
    path: Path,
    period: int,
    announced: list[int],
    samples: list[tuple[tuple[int, ...], bytes, list[int]]],
    threads: dict[bytes, str],
    maps: list[tuple[int, int, int, str]],
) -> AllocationProfile:
    by_thread = any(thread != b"*" for _, thread, _ in samples)
    chosen = [each for each in samples if (each[1] != b"*") == by_thread]
    found = sum(numbers[1] for _, _, numbers in chosen)
    if found < announced[1]:
        raise FormatError(
            f"{path.name} announces {announced[1]} live bytes and holds stacks for {found}: it was cut short.",
            advice="Wait until jemalloc has finished the dump, and copy it again.",
            path=str(path),
        )
    accumulated = any(numbers[3] for _, _, numbers in chosen)
    builder = ProfileBuilder(("live", "allocated") if accumulated else ("live",))
    frames: dict[int, int] = {}
    for stack, thread, (count, size, all_count, all_size) in chosen:
        for address in stack:
            if address not in frames:
                frames[address] = builder.frame(_frame(address, maps))
        live_count, live_size = unsampled(count, size, period)
        total_count, total_size = unsampled(all_count, all_size, period)
        name = None if thread == b"*" else threads.get(thread, f"thread {thread.decode()}")
        builder.add(
            builder.stack(frames[address] for address in stack),
            {"live": (live_size, live_count), "allocated": (total_size, total_count)},
            thread=name,
        )
    return builder.build(
        Origin(
            tool="jemalloc",
            runtime="native",
            file=path.name,
            sampling_period=period,
            notes=(
                "A raw jemalloc dump holds addresses only: frames are given as file+offset, for addr2line or "
                "`jeprof --symbols`. jemalloc_pprof with the feature `symbolize` writes names.",
            ),
        )
    )


def _frame(address: int, maps: list[tuple[int, int, int, str]]) -> Frame:
    position = bisect.bisect_right(maps, (address, LARGEST, 0, "")) - 1
    if position >= 0:
        start, end, offset, name = maps[position]
        if start <= address < end:
            return Frame(f"{name.rsplit('/', 1)[-1]}+0x{address - start + offset:x}", name, 0)
    return Frame(f"0x{address:x}", "", 0)


register(Loader("jemalloc", "jemalloc with prof:true", (".heap",), recognises, load))
