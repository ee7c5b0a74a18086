"""Truncated and altered files: a profile or a FormatError, in bounded time, and nothing else."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics import formats
from forensics.errors import FormatError
from forensics.profiles.model import AllocationProfile

DATA = Path(__file__).parents[2] / "data" / "profiles"
PLAIN = ("go-after.pb.gz", "jemalloc.heap", "dhat-heap.json", "node.heapprofile")
KINDS = {
    "go-after.pb.gz": "pprof",
    "jemalloc.heap": "jemalloc",
    "dhat-heap.json": "dhat",
    "node.heapprofile": "heapprofile",
}

quick = settings(
    max_examples=120,
    deadline=5000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
# each example starts memray's reading process
slow = settings(quick, max_examples=5, deadline=60000)


@cache
def content(name: str) -> bytes:
    data = (DATA / name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def survives(file: Path, data: bytes, kind: str) -> None:
    file.write_bytes(data)
    try:
        profile = formats.load(file, kind=kind)
    except FormatError as error:
        assert error.advice and str(file.name) in error.message
    else:
        assert isinstance(profile, AllocationProfile)
        profile.top(3)


def altered(data: bytes, changes: list[tuple[float, int]]) -> bytes:
    out = bytearray(data)
    for place, value in changes:
        out[int(place * (len(out) - 1))] = value
    return bytes(out)


places = st.floats(0, 1, allow_nan=False)
changes = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)


@pytest.mark.parametrize("name", PLAIN)
@quick
@given(place=places)
def test_truncated(tmp_path, name, place):
    data = content(name)
    survives(tmp_path / "file", data[: int(place * len(data))], KINDS[name])


@pytest.mark.parametrize("name", PLAIN)
@quick
@given(changes=changes)
def test_altered(tmp_path, name, changes):
    survives(tmp_path / "file", altered(content(name), changes), KINDS[name])


@quick
@given(place=places, changes=changes)
def test_gzip_truncated_and_altered(tmp_path, place, changes):
    data = altered((DATA / "go-after.pb.gz").read_bytes(), changes)
    survives(tmp_path / "file.pb.gz", data[: max(2, int(place * len(data)))], "pprof")


@pytest.mark.parametrize("kind", sorted(set(KINDS.values())))
@quick
@given(data=st.binary(max_size=400))
def test_random_bytes(tmp_path, kind, data):
    survives(tmp_path / "file", data, kind)


@pytest.mark.parametrize("name", ["memray-normal.bin", "memray-killed.bin", "memray-native.bin"])
@slow
@given(place=places, changes=changes)
def test_memray_truncated_and_altered(tmp_path, name, place, changes):
    data = content(name)
    survives(tmp_path / "file", altered(data, changes), "memray")
    survives(tmp_path / "file", data[: int(place * len(data))], "memray")


def test_memray_reader_is_bounded(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        formats.load(DATA / "memray-normal.bin", memory_bytes=40 << 20)


def test_one_byte_amplified_to_many_frames_is_stopped(tmp_path):
    """A location of many inlined lines, referred to by a sample over and over."""
    from forensics.formats.pprof_schema import Profile

    profile = Profile()
    profile.string_table.extend(["", "inuse_space", "bytes", "f"])
    profile.sample_type.add(type=1, unit=2)
    profile.function.add(id=1, name=3)
    location = profile.location.add(id=1)
    for _ in range(2000):
        location.line.add(function_id=1)
    sample = profile.sample.add(value=[1])
    sample.location_id.extend([1] * 2000)
    (tmp_path / "file.pb").write_bytes(profile.SerializeToString())
    with pytest.raises(FormatError, match="frames"):
        formats.load(tmp_path / "file.pb", kind="pprof")


def test_deeply_nested_json_is_refused(tmp_path):
    file = tmp_path / "deep.heapprofile"
    file.write_text('{"head":' * 200_000)
    with pytest.raises(FormatError):
        formats.load(file, kind="heapprofile")


@pytest.mark.parametrize("field", ["type", "name", "function_id", "location_id"])
def test_an_index_that_leads_nowhere_is_refused(tmp_path, field):
    from forensics.formats.pprof_schema import Profile

    nowhere = 1_000_000
    profile = Profile()
    profile.string_table.extend(["", "inuse_space", "bytes", "main.f"])
    profile.sample_type.add(type=nowhere if field == "type" else 1, unit=2)
    profile.function.add(id=1, name=nowhere if field == "name" else 3)
    profile.location.add(id=1).line.add(function_id=nowhere if field == "function_id" else 1)
    profile.sample.add(value=[1], location_id=[nowhere if field == "location_id" else 1])
    (tmp_path / "file.pb").write_bytes(profile.SerializeToString())
    with pytest.raises(FormatError) as refused:
        formats.load(tmp_path / "file.pb", kind="pprof")
    assert refused.value.advice and "file.pb" in refused.value.message
