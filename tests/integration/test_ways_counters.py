"""Counters over time and memray's recordings, of processes that really run."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import memray
import psutil
import pyarrow.parquet as pq
import pytest

from forensics.capture import counters, injector, ways
from forensics.capture import memray as recordings
from forensics.errors import CaptureError, TargetError
from tests.integration.running import interpreters, running, wait_until

pytestmark = pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or "")
MB = 1 << 20


def test_a_sample_says_what_psutil_says() -> None:
    with running("large") as target:
        sample = counters.sample(target.pid)
        full = psutil.Process(target.pid).memory_full_info()
        assert sample.rss == pytest.approx(full.rss, rel=0.02)
        assert sample.pss == pytest.approx(full.pss, rel=0.02)
        assert sample.uss == pytest.approx(full.uss, rel=0.02)
        assert sample.threads == 1
        assert sample.descriptors == len(os.listdir(f"/proc/{target.pid}/fd"))
        assert sample.minor_faults > 1000
        assert sample.gc_collections_0 is None
        assert sample.malloc_in_use is None
        assert target.finish() == "fine"


def test_sockets_are_counted_by_state() -> None:
    code = """
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
held = [server.accept()[0] for _ in range(3)]
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        ours = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        assert process.stdout.readline() == "ready\n"
        sample = counters.sample(process.pid)
        assert (sample.sockets_established, sample.sockets_other) == (3, 1)
        for each in ours:
            each.close()
        wait_until(lambda: counters.sample(process.pid).sockets_established == 0)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.parametrize("version", interpreters())
def test_the_agent_adds_the_collector_and_the_allocator(version: str) -> None:
    with running("collector", interpreter=interpreters()[version]) as target:
        link = ways.enter(target.pid)
        first = counters.sample(target.pid, link)
        time.sleep(0.7)
        last = counters.sample(target.pid, link)
        assert first.gc_collections_0 is not None
        assert last.gc_collections_0 is not None
        assert last.gc_collections_0 > first.gc_collections_0
        assert last.gc_uncollectable == 0
        assert last.malloc_in_use
        assert 0 < last.malloc_in_use < last.rss + 64 * MB
        assert last.malloc_free is not None
        assert target.finish() == "fine"


_HIGH_WATER = """
import sys
blocks = [bytearray(3000) for _ in range(30000)]
print("full", flush=True)
sys.stdin.readline()
# The last block stays and pins the top of the heap: the others are free, and still resident.
blocks[:-1] = []
print("empty", flush=True)
sys.stdin.readline()
"""


def test_an_allocators_high_water_mark_is_told_from_live_objects() -> None:
    with subprocess.Popen([sys.executable, "-c", _HIGH_WATER], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "full\n"
        link = ways.enter(process.pid)
        full = counters.sample(process.pid, link)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "empty\n"
        empty = counters.sample(process.pid, link)
        process.stdin.close()
    assert full.malloc_in_use is not None
    assert empty.malloc_in_use is not None
    assert empty.malloc_free is not None
    assert empty.rss > full.rss - 10 * MB, "resident memory stays"
    assert full.malloc_in_use - empty.malloc_in_use > 80 * MB, "but malloc has it back"
    assert empty.malloc_free > 80 * MB


def test_watching_keeps_its_rate_reports_progress_and_writes_the_table(tmp_path: Path) -> None:
    with running("sleep") as target:
        reported: list[tuple[float, float]] = []
        series = counters.watch(
            target.pid, 1.5, 0.25, progress=lambda done, total: reported.append((done, total))
        )
        assert 3 <= len(series) <= 7  # a machine that starves us misses some, never makes up for them
        assert reported[0][0] < 0.5
        assert reported[-1] == (1.5, 1.5)
        series.write(tmp_path / "process.parquet")
        table = pq.read_table(tmp_path / "process.parquet")
        assert table.schema == counters.SCHEMA
        frame = series.to_pandas()
        gaps = frame.time.diff().dropna()
        assert math.isclose(gaps.median(), 0.25, abs_tol=0.1)
        assert frame.rss.notna().all()
        assert "rss" in str(series)
        assert ">rss</td>" in series._repr_html_()
        assert target.finish() == "fine"


def test_watching_ends_with_the_process() -> None:
    with running("sleep") as target:
        target.flag.touch()
        series = counters.watch(target.pid, 30, 0.05)
        assert series.ended
        assert len(series) >= 1
        target.process.communicate()
        with pytest.raises(TargetError, match="has ended"):
            counters.sample(target.pid)


# -- memray --------------------------------------------------------------------------------------------------

_ALLOCATES = """
import time

def keep_a_page(held):
    held.append(bytearray(100_000))

held = []
print("ready", flush=True)
while True:
    keep_a_page(held)
    time.sleep(0.01)
"""


@pytest.fixture
def allocating():
    with subprocess.Popen([sys.executable, "-c", _ALLOCATES], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        assert process.poll() is None
        process.kill()


def open_files(pid: int) -> set[str]:
    """Files that the process has open or mapped."""
    return {row.path for row in [*psutil.Process(pid).open_files(), *psutil.Process(pid).memory_maps()]}


def recordings_in_tmp() -> set[Path]:
    return set(Path("/tmp").glob("forensics-memray-*"))


def test_a_recording_names_the_function_that_keeps_and_leaves_nothing_behind(
    allocating: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    before = recordings_in_tmp()
    link = ways.enter(allocating.pid)
    done: list[float] = []
    file = recordings.record(link, 1.5, tmp_path / "a.bin", progress=lambda spent, total: done.append(spent))
    assert done[-1] == 1.5
    assert file.stat().st_mode & 0o777 == 0o600
    with memray.FileReader(file) as reader:
        records = list(reader.get_leaked_allocation_records(merge_threads=True))
        # Stacks are read from the open file.
        kept: Counter[str] = Counter()
        for record in records:
            if record.stack_trace():
                kept[record.stack_trace(max_stacks=1)[0][0]] += record.size
    assert kept["keep_a_page"] > 50 * 100_000
    assert recordings_in_tmp() == before
    assert ways.enter(allocating.pid).request("memray-stop")["refused"] == "no recording is running"


def test_it_ends_by_itself_when_nobody_is_there_any_more(allocating: subprocess.Popen[bytes]) -> None:
    before = recordings_in_tmp()
    code = (
        "import sys; from pathlib import Path; from forensics.capture import memray, ways;"
        "link = ways.enter(int(sys.argv[1]));"
        "memray.record(link, 2.0, Path('/dev/null'), progress=lambda *_: print('on', flush=True))"
    )
    capturer = subprocess.Popen([sys.executable, "-c", code, str(allocating.pid)], stdout=subprocess.PIPE)
    assert capturer.stdout is not None
    assert capturer.stdout.readline() == b"on\n"
    capturer.kill()
    capturer.communicate()
    link = ways.enter(allocating.pid)
    # THEN another recording is refused while it runs, and its tracker stops at its time
    assert link.request("memray-start", seconds=1)["kind"] == "busy"
    (folder,) = recordings_in_tmp() - before
    file = folder / "allocations.bin"
    wait_until(lambda: file.exists() and str(file) not in open_files(allocating.pid), 60)
    size = file.stat().st_size
    assert size > 0
    time.sleep(0.3)
    assert file.stat().st_size == size
    assert link.request("memray-stop", remove=True) == {"removed": True}
    assert recordings_in_tmp() == before


def test_without_memray_there_it_says_how_to_go_on(tmp_path: Path) -> None:
    other = next(path for version, path in interpreters().items() if not version.startswith("3.11.7"))
    with running("sleep", interpreter=other) as target:
        with pytest.raises(CaptureError, match="memray cannot be imported") as caught:
            recordings.record(ways.enter(target.pid), 1.0, tmp_path / "a.bin")
        assert "memray run" in str(caught.value)
        assert "-m pip install memray" in str(caught.value)
        assert not (tmp_path / "a.bin").exists()
        assert target.finish() == "fine"


def test_a_process_that_ends_while_it_is_recorded_is_told(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _ALLOCATES], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        link = ways.enter(process.pid)

        def kill_it(done: float, total: float) -> None:
            process.kill()
            process.wait()

        with pytest.raises(CaptureError, match="ended while its allocations were recorded"):
            recordings.record(link, 5.0, tmp_path / "a.bin", progress=kill_it)
