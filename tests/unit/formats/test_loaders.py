"""What the loaders make of real files; the figures are those of the tools or of the recipe, not our own."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import memray
import numpy as np
import pytest

from forensics import formats
from forensics.bundle import Bundle
from forensics.errors import BundleError, FormatError
from forensics.formats.jemalloc import unsampled
from forensics.profiles.naming import operations_under, places

DATA = Path(__file__).parents[2] / "data" / "profiles"
KINDS = {
    "memray-normal.bin": "memray",
    "memray-native.bin": "memray",
    "memray-aggregated.bin": "memray",
    "memray-attach.bin": "memray",
    "memray-killed.bin": "memray",
    "memray-1.19.bin": "memray",
    "go-before.pb.gz": "pprof",
    "go-after.pb.gz": "pprof",
    "go-goroutine.pb.gz": "pprof",
    "go-references.pb.gz": "pprof",
    "jemalloc.heap": "jemalloc",
    "jemalloc-c.heap": "jemalloc",
    "dhat-heap.json": "dhat",
    "dhat-valgrind.json": "dhat",
    "node.heapprofile": "heapprofile",
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_kind_is_told_by_content_alone(tmp_path, name, kind):
    nameless = tmp_path / "file"
    nameless.write_bytes((DATA / name).read_bytes())
    assert formats.guess(nameless).name == kind


def test_every_sample_has_a_loader_and_every_loader_a_sample():
    assert set(KINDS) == {
        each.name for each in DATA.iterdir() if each.suffix not in {".md"} and each.is_file()
    }
    profiles = {loader.name for loader in formats.loaders() if loader.makes == "profile"}
    assert profiles == set(KINDS.values())


def test_memray_that_was_attached_to_a_running_process():
    profile = formats.load(DATA / "memray-attach.bin")
    assert profile.origin.complete and 1.5 < profile.origin.seconds < 3
    first = profile.top(1, measure="live").iloc[0]
    assert first["place"].endswith("attached.py:10 <listcomp>") and first["share"] > 0.9


def memray_totals(name: str, query: str) -> tuple[int, int]:
    with memray.FileReader(DATA / name) as reader:
        records = list(getattr(reader, f"get_{query}_allocation_records")(merge_threads=False))
    return sum(each.size for each in records), sum(each.n_allocations for each in records)


@pytest.mark.parametrize(
    ("name", "measure", "query"),
    [
        ("memray-normal.bin", "live", "leaked"),
        ("memray-normal.bin", "peak", "high_watermark"),
        ("memray-normal.bin", "temporary", "temporary"),
        ("memray-native.bin", "live", "leaked"),
        ("memray-aggregated.bin", "live", "leaked"),
        ("memray-aggregated.bin", "peak", "high_watermark"),
        ("memray-killed.bin", "live", "leaked"),
    ],
)
def test_memray_measures_are_those_of_memrays_own_reader(name, measure, query):
    profile = formats.load(DATA / name)
    values = profile.measures[measure]
    assert (int(values.bytes.sum()), int(values.counts.sum())) == memray_totals(name, query)


def test_memray_stacks_are_those_of_memrays_own_reader():
    profile = formats.load(DATA / "memray-normal.bin", over_time=False)
    mine = {}
    for stack, size in zip(*[np.arange(profile.n_stacks), profile.by_stack("live")[0]], strict=True):
        if size:
            mine[profile.stack(stack)] = int(size)
    theirs = {}
    with memray.FileReader(DATA / "memray-normal.bin") as reader:
        for record in reader.get_leaked_allocation_records(merge_threads=True):
            trace = tuple(record.stack_trace())
            theirs[trace] = theirs.get(trace, 0) + record.size
    assert mine == theirs


def test_memray_history_adds_up_to_the_heap_that_memray_saw():
    timeline = formats.load(DATA / "memray-normal.bin").timeline
    assert len(timeline.times) > 10
    assert timeline.live_bytes().tolist() == timeline.heap.tolist()
    stacks = sorted(set(timeline.intervals["stack"].to_pylist()))
    assert timeline.live_bytes_of(stacks).sum(axis=0).tolist() == timeline.heap.tolist()


def test_memray_blocks_live_at_the_end_add_up_to_live():
    profile = formats.load(DATA / "memray-normal.bin", measures=["live"], over_time=False, addresses=True)
    sizes = profile.addresses["size"].to_numpy()
    by_stack = np.zeros(profile.n_stacks, np.int64)
    np.add.at(by_stack, profile.addresses["stack"].to_numpy(), sizes)
    assert by_stack.tolist() == profile.by_stack("live")[0].tolist()
    assert (np.diff(profile.addresses["address"].to_numpy().astype(np.int64)) > 0).all()


def test_memray_tells_threads_apart():
    profile = formats.load(DATA / "memray-normal.bin")
    assert "refill" in profile.thread_names
    refill = profile.threads == profile.thread_names.index("refill")
    assert 0 < profile.measures["live"].bytes[refill].sum() < profile.total("live")


def test_memray_native_frames_are_kept():
    functions = formats.load(DATA / "memray-native.bin").frames.function.to_pylist()
    assert any(each.startswith("Py") for each in functions) and "fetch_page" in functions


def test_memray_of_a_killed_process_says_that_it_is_not_whole():
    profile = formats.load(DATA / "memray-killed.bin")
    assert not profile.origin.complete
    assert "killed" in profile.origin.notes[0] and "cut short" in repr(profile)


def test_memray_aggregated_has_no_history():
    profile = formats.load(DATA / "memray-aggregated.bin")
    assert list(profile.measures) == ["live", "peak"]
    assert profile.timeline.intervals is None
    with pytest.raises(ValueError, match="no history"):
        profile.timeline.live_bytes()


def test_memray_of_another_version_says_which_to_install():
    with pytest.raises(FormatError) as caught:
        formats.load(DATA / "memray-1.19.bin")
    assert "was written by memray 1.19" in caught.value.message
    assert "pip install 'memray==1.19.*'" in caught.value.advice


def test_memray_place_names_the_query_where_the_sources_are_at_hand():
    profile = formats.load(DATA / "memray-normal.bin", over_time=False)
    top = profile.top(1).iloc[0]
    assert top["place"] == "orders/db.py:29 fetch_page → DynamoDB" and top["share"] > 0.9
    hints = operations_under(DATA / "recipes" / "orders", profile)
    assert places(profile, operations=hints)["place"][0] == "orders/db.py:29 fetch_page → Query"


def test_go_profile_tells_what_is_live_from_what_was_allocated():
    before, after = (formats.load(DATA / f"go-{name}.pb.gz") for name in ("before", "after"))
    # the recipe keeps 200 and then 800 pages of 25 items of 2000–2099 bytes, and drops as many again
    for profile, pages in ((before, 200), (after, 800)):
        kept = pages * 25 * 2048
        assert 0.7 * kept < profile.total("live") < 1.3 * kept
        assert profile.total("allocated") > 1.5 * profile.total("live")
        assert profile.origin.sampling_period == 524288 and profile.origin.runtime == "go"
    assert after.top(1)["place"][0].endswith("main.fetchPage")


def test_pprof_of_something_else_is_refused():
    with pytest.raises(FormatError, match="pprof profile of goroutine, not of memory"):
        formats.load(DATA / "go-goroutine.pb.gz")


def test_jemalloc_dump_is_unsampled():
    profile = formats.load(DATA / "jemalloc.heap")
    # the recipe keeps 4000 arrays of about 3 kB and 100 of 50 kB: 17.2 MB, beside the interpreter's own
    kept = sum(3000 + number % 100 + 1 for number in range(4000)) + 100 * 50_001
    assert 0.8 * kept < profile.total("live") < 1.6 * kept
    raw = sum(
        int(line.split()[2])
        for line in (DATA / "jemalloc.heap").read_text().split("MAPPED")[0].splitlines()[4:]
        if line.strip().startswith("t*:")
    )
    assert profile.total("live") > 1.2 * raw
    assert any(each.startswith("python3.11+0x") for each in profile.frames.function.to_pylist())


def test_unsampling_by_the_published_formula():
    # P(an object of s bytes is sampled) = 1 - exp(-s / period)
    assert unsampled(10, 10 * 524288, 524288) == (16, round(10 * 524288 / (1 - np.exp(-1))))
    assert unsampled(1, 1 << 40, 524288) == (1, 1 << 40)
    assert unsampled(0, 0, 524288) == (0, 0)


def test_dhat_is_exact():
    profile = formats.load(DATA / "dhat-heap.json")
    document = json.loads((DATA / "dhat-heap.json").read_text())
    assert profile.total("live") == sum(point["eb"] for point in document["pps"])
    # 40 pages of 25 strings are kept, as many are dropped
    assert profile.measures["allocated"].counts.sum() > 2 * 40 * 25
    assert profile.top(1)["place"][0].startswith("src/main.rs:7 orders::fetch_page")


#: What ``recipes/c/retain.c`` keeps: every second of 80 pages of 25 items of 500 to 548 bytes, and 25 pointers each.
C_ITEMS = [500 + page % 50 for page in range(0, 80, 2)]


def test_dhat_of_valgrind_is_exact():
    profile = formats.load(DATA / "dhat-valgrind.json")
    assert profile.total("live") == 25 * sum(C_ITEMS) + 40 * 25 * 8
    assert profile.measures["live"].counts.sum() == 40 * 25 + 40
    assert profile.top(1)["place"][0] == "retain.c:14 fetch_page"


def test_jemalloc_of_a_c_program_is_unsampled():
    profile = formats.load(DATA / "jemalloc-c.heap")
    # jemalloc counts size classes: up to 512 bytes 512, above 640
    kept = 25 * sum(512 if size <= 512 else 640 for size in C_ITEMS)
    items = profile.top(1).iloc[0]
    assert items["place"].endswith("retain-jemalloc+0x11b8") and 0.75 * kept < items["bytes"] < 1.25 * kept
    raw = int((DATA / "jemalloc-c.heap").read_text().split("t*: 115: ")[1].split()[0])
    assert items["bytes"] > 5 * raw


def test_v8_profile_names_the_function():
    profile = formats.load(DATA / "node.heapprofile")
    assert profile.top(1)["place"][0] == "node/retain.js:12 keepPages"
    assert profile.measures["live"].counts is None


def test_to_pandas_and_html_show_the_same():
    profile = formats.load(DATA / "go-after.pb.gz")
    table = profile.to_pandas()
    assert table["live_bytes"].sum() == profile.total("live")
    assert "main.fetchPage" in profile._repr_html_() and repr(profile).strip("<>") in profile._repr_html_()


def test_unknown_file_lists_the_candidates(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a profile")
    with pytest.raises(FormatError) as caught:
        formats.load(file)
    for loader in formats.loaders():
        assert loader.name in caught.value.advice


def test_suffix_decides_where_content_does_not(tmp_path):
    file = tmp_path / "broken.heapprofile"
    file.write_text("{}")
    assert formats.guess(file).name == "heapprofile"
    with pytest.raises(FormatError, match="not a well-formed V8 heap profile"):
        formats.load(file)


def test_absent_empty_and_unknown_kind(tmp_path):
    (tmp_path / "empty.bin").touch()
    with pytest.raises(FormatError, match=r"empty\.bin is empty"):
        formats.load(tmp_path / "empty.bin")
    with pytest.raises(FormatError, match="is not a file"):
        formats.load(tmp_path)
    with pytest.raises(FormatError, match="does not exist"):
        formats.load(tmp_path / "nope")
    with pytest.raises(FormatError, match="no loader of the name 'hprof'"):
        formats.load(DATA / "jemalloc.heap", kind="hprof")


@pytest.mark.parametrize("head", [b"", b"heap_v2/524288\n"])
def test_gzip_bomb_is_stopped(tmp_path, monkeypatch, head):
    monkeypatch.setattr("forensics.formats.bounded.LIMIT_BYTES", 8 << 20)
    bomb = tmp_path / "bomb.pb.gz"
    with gzip.open(bomb, "wb") as stream:
        stream.write(head)
        for _ in range(80):
            stream.write(bytes(1 << 20))
    assert bomb.stat().st_size < 200_000
    with pytest.raises(FormatError, match=r"MiB once unpacked|not a well-formed"):
        formats.load(bomb)


def test_import_makes_a_capture(tmp_path):
    folder = formats.import_files([DATA / "go-after.pb.gz", DATA / "go-before.pb.gz"], tmp_path / "capture")
    bundle = Bundle.open(folder)
    assert bundle.manifest["runtime"] == "go" and bundle.manifest["complete"]
    assert [each["imported_from"] for each in bundle.manifest["allocations"]] == [
        "go-before.pb.gz",
        "go-after.pb.gz",
    ]
    assert bundle.names("allocations/") == ["allocations/000.pb.gz", "allocations/001.pb.gz"]
    assert (folder / "allocations/000.pb.gz").read_bytes() == (DATA / "go-before.pb.gz").read_bytes()
    assert (
        formats.load_profile(folder / "allocations/001.pb.gz").total()
        == formats.load(DATA / "go-after.pb.gz").total()
    )


def test_import_makes_nothing_of_what_cannot_be_read(tmp_path):
    with pytest.raises(FormatError, match="not of memory"):
        formats.import_files([DATA / "go-after.pb.gz", DATA / "go-goroutine.pb.gz"], tmp_path / "capture")
    assert not (tmp_path / "capture").exists()
    with pytest.raises(FormatError, match="No file was given"):
        formats.import_files([], tmp_path / "capture")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").touch()
    with pytest.raises(BundleError, match="never overwrites"):
        formats.import_files([DATA / "go-after.pb.gz"], tmp_path / "there")
