"""pprof profiles (``profile.proto``): Go's heap and allocs, jemalloc_pprof, grf."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forensics.errors import FormatError
from forensics.formats.bounded import damaged, read_bounded
from forensics.formats.registry import Loader, register
from forensics.profiles.builder import ProfileBuilder
from forensics.profiles.model import AllocationProfile, Frame, Origin

#: sample type -> (measure, whether its values are bytes); "space" is what jemalloc's own converter writes
_SAMPLE_TYPES = {
    "alloc_objects": ("allocated", False),
    "alloc_space": ("allocated", True),
    "inuse_objects": ("live", False),
    "inuse_space": ("live", True),
    "objects": ("live", False),
    "space": ("live", True),
}
#: what counts over time; in a profile of ``seconds=N`` it is what was allocated in these seconds
_RATE_TYPES = {"alloc_objects": ("allocated", False), "alloc_space": ("allocated", True)}
#: Go's profile of goroutines, and of those that nothing can wake any more
_GOROUTINE_TYPES = {"goroutine": ("live", False), "goroutineleak": ("live", False)}

#: Parsed messages take some twenty times the room of the smallest encoding: so a tighter bound than elsewhere.
LIMIT_BYTES = 64 << 20


#: Field numbers of a Profile that are messages, strings or packed numbers, and those that are plain numbers.
_SIZED, _PLAIN = frozenset((1, 2, 3, 4, 5, 6, 11, 13, 15)), frozenset((7, 8, 9, 10, 12, 13, 14))


def recognises(head: bytes) -> bool:
    """Protocol buffers have no magic: the first fields must be a Profile's, a short sample type among them."""
    at = fields = 0
    sample_types = False
    while at < len(head) and fields < 8:
        number, wire = head[at] >> 3, head[at] & 7
        if not (wire == 2 and number in _SIZED) and not (wire == 0 and number in _PLAIN):
            return False
        value, at = _varint(head, at + 1)
        if value is None:
            return False
        if wire == 2:
            sample_types |= number == 1 and value <= 20 and head[at : at + 1] in (b"\x08", b"\x10")
            at += value
        fields += 1
    return sample_types


def _varint(data: bytes, at: int) -> tuple[int | None, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            return None, at
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    return None, at


def load(path: Path) -> AllocationProfile:
    """Read a pprof memory profile; values are used as they stand, their writers unsampled them.

    Raises
    ------
    FormatError : not pprof, cut short, or a profile of something else than memory.
    """
    return _load(path, _SAMPLE_TYPES)


def load_goroutines(path: Path) -> AllocationProfile:
    """Read a profile of goroutines: the count of ``live`` is how many stand at a stack, its bytes are 0.

    Raises
    ------
    FormatError : not pprof, cut short, or a profile of something else than goroutines.
    """
    return _load(path, _GOROUTINE_TYPES)


def load_rates(path: Path) -> AllocationProfile:
    """Read what ``allocs?seconds=N`` answers: ``allocated`` is what was allocated in these seconds, freed or not.

    Go subtracts the profile at the beginning from that at the end and stamps the difference with the end's time
    (``serveDeltaProfile`` of net/http/pprof); what it says of live memory is a change of what the last collections
    had found, and is left out. ``origin.seconds`` is how long it ran.

    Raises
    ------
    FormatError : not pprof, cut short, or no difference of two moments.
    """
    profile = _load(path, _RATE_TYPES)
    origin = profile.origin
    if origin.seconds is None or origin.start is None:
        raise FormatError(
            f"{path.name} is a pprof profile of one moment and not of some seconds.",
            advice="Fetch /debug/pprof/allocs?seconds=5; services built with Go before 1.15 know no such thing.",
            path=str(path),
        )
    stamped = dataclasses.replace(origin, start=origin.start - origin.seconds, end=origin.start)
    return dataclasses.replace(profile, origin=stamped)


def _load(path: Path, wanted: Mapping[str, tuple[str, bool]]) -> AllocationProfile:
    from google.protobuf.message import DecodeError

    from forensics.formats.pprof_schema import Profile

    try:
        profile = Profile.FromString(read_bounded(path, limit=LIMIT_BYTES))
    except DecodeError as error:
        raise FormatError(
            f"{path.name} was read as a pprof profile and cannot be decoded: {error}.",
            advice="The file is damaged or was cut short; fetch /debug/pprof/heap again with debug=0.",
            path=str(path),
        ) from error
    with damaged(path, "pprof profile"):
        return _convert(path, profile, wanted)


def _convert(path: Path, profile: Any, wanted: Mapping[str, tuple[str, bool]]) -> AllocationProfile:
    strings = list(profile.string_table)
    if not strings or not profile.sample_type:
        raise ValueError("the table of strings or of sample types, which is empty")
    types = [strings[each.type] for each in profile.sample_type]
    columns = _columns(path, types, wanted)
    counted = any(not is_bytes for _, is_bytes in columns.values())
    builder = ProfileBuilder(tuple(dict.fromkeys(name for name, _ in columns.values())), counted=counted)

    functions = {
        each.id: (strings[each.name] or strings[each.system_name], strings[each.filename])
        for each in profile.function
    }
    mappings = {each.id: strings[each.filename] for each in profile.mapping}
    locations: dict[int, tuple[int, ...]] = {}
    for location in profile.location:
        lines = [
            builder.frame(Frame(*functions[line.function_id], max(0, min(line.line, 2**31 - 1))))
            for line in location.line
        ]
        if not lines:
            lines = [
                builder.frame(Frame(f"0x{location.address:x}", mappings.get(location.mapping_id, ""), 0))
            ]
        locations[location.id] = tuple(lines)

    for sample in profile.sample:
        if len(sample.value) != len(types):
            raise ValueError(f"a sample of {len(sample.value)} values where {len(types)} were announced")
        values: dict[str, tuple[int, int]] = {}
        for position, (name, is_bytes) in columns.items():
            size, count = values.get(name, (0, 0))
            value = sample.value[position]
            values[name] = (value, count) if is_bytes else (size, value)
        stack = builder.stack(frame for each in sample.location_id for frame in locations[each])
        builder.add(stack, values)
    return builder.build(_origin(path, profile, types, strings))


def _columns(
    path: Path, types: list[str], wanted: Mapping[str, tuple[str, bool]]
) -> dict[int, tuple[str, bool]]:
    columns = {position: wanted[each] for position, each in enumerate(types) if each in wanted}
    memory = wanted is not _GOROUTINE_TYPES
    if not columns or (memory and not any(is_bytes for _, is_bytes in columns.values())):
        raise FormatError(
            f"{path.name} is a pprof profile of {', '.join(types)}, not of {'memory' if memory else 'goroutines'}.",
            advice=f"Fetch /debug/pprof/{'heap (or /allocs)' if memory else 'goroutine'} instead.",
            path=str(path),
            sample_types=types,
        )
    return columns


def _origin(path: Path, profile: Any, types: list[str], strings: list[str]) -> Origin:
    names = {strings[each.name] for each in profile.function}
    references = any(
        name.startswith(("$mapval. ", "$mapkey. ", "[10+]. ")) or ". (" in name for name in names
    )
    if any(name.startswith(("runtime.", "main.")) for name in names) or references:
        runtime = "go"
    elif any("::" in name for name in names):
        runtime = "rust"
    else:
        runtime = "go" if "alloc_space" in types else "native"
    notes = []
    if profile.sample and not profile.function:
        notes.append(
            "The profile holds addresses and no function names. Build the service with the feature "
            "`symbolize` of jemalloc_pprof, or resolve them with `pprof -symbolize=local` and its binary."
        )
    start = profile.time_nanos / 1e9 if profile.time_nanos > 0 else None
    return Origin(
        tool="pprof",
        runtime=runtime,
        file=path.name,
        start=start,
        end=start + profile.duration_nanos / 1e9 if start and profile.duration_nanos > 0 else start,
        sampling_period=profile.period if profile.period > 0 else _period_of_jemalloc(profile, types),
        stacks_are="references" if references else "allocations",
        facts={"sample_types": tuple(types)},
        notes=tuple(notes),
    )


def _period_of_jemalloc(profile: Any, types: list[str]) -> int | None:
    """The sampling period of a profile that jemalloc_pprof wrote, which leaves it out; None for others.

    It unsamples each block of ``size`` bytes to size / (1 - exp(-size / period)), which is a period at least: the
    lightest stack tells it, and jemalloc's periods are powers of two.
    """
    if types != ["inuse_space"]:
        return None
    weights = [sample.value[0] for sample in profile.sample if sample.value and sample.value[0] > 0]
    return 1 << (min(weights).bit_length() - 1) if weights else None


register(Loader("pprof", "Go, jemalloc_pprof, grf", (".pb.gz", ".pprof", ".pb", ".prof"), recognises, load))
