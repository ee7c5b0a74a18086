"""memray files: live at the end, high-water mark, temporary, over time; whole, in progress or of a killed process."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.errors import FormatError
from forensics.formats.memray_reading import MEASURES
from forensics.formats.registry import HEAD_BYTES, Loader, register
from forensics.profiles.model import AllocationProfile, FrameTable, Measure, Origin, Timeline

#: The tables that ``memray_reading`` writes, in order.
TABLES = ("rows", "intervals", "memory", "blocks", "frames", "stacks", "members", "threads")

#: Bounds of the reading process. memray's aggregators need about 200 MB for ten million records.
MEMORY_BYTES = 4 << 30
CPU_SECONDS = 300
MEMORY_RECORDS = 10_000

_MAGIC = b"memray\x00"
_LZ4 = b"\x04\x22\x4d\x18"
#: header version -> the releases that write it (``CURRENT_HEADER_VERSION`` in memray's records.h, by tag)
_RELEASES = {
    6: "1.0",
    7: "1.1",
    8: "1.2 or 1.3",
    9: "1.4 to 1.6",
    10: "1.7 to 1.10",
    11: "1.11 to 1.18",
    12: "1.19",
    13: "1.20",
}
#: memray's AllocatorType, which only its extension module knows at run time
_ALLOCATORS = {
    2: "pymalloc_malloc",
    3: "pymalloc_calloc",
    4: "pymalloc_realloc",
    6: "malloc",
    7: "realloc",
    8: "calloc",
    9: "posix_memalign",
    10: "aligned_alloc",
    11: "memalign",
    12: "valloc",
    13: "pvalloc",
    14: "mmap",
}


def recognises(head: bytes) -> bool:
    """A file in progress opens with memray's magic; a finished one is one LZ4 frame that opens with it."""
    return _magic_at(head) >= 0


def _magic_at(head: bytes) -> int:
    if head.startswith(_LZ4):
        # Frame header (7 or 15 bytes), block size (4), token and length: then the first literals, as they are.
        return head.find(_MAGIC, 0, 40)
    return 0 if head.startswith(_MAGIC) else -1


def load(
    path: Path,
    *,
    measures: Sequence[str] = MEASURES,
    over_time: bool = True,
    addresses: bool = False,
    memory_bytes: int = MEMORY_BYTES,
    cpu_seconds: int = CPU_SECONDS,
) -> AllocationProfile:
    """Read a memray file in a process of its own (see ``memray_reading``).

    Parameters
    ----------
    measures : which of live, peak and temporary to read; each is one pass over the file
    over_time : whether to read the intervals as well, one more pass
    addresses : whether to list the blocks live at the end with their addresses; one slow pass
    memory_bytes, cpu_seconds : bounds of the reading process

    Raises
    ------
    FormatError : not memray's, of a memray that does not fit the installed one, or damaged.
    """
    _check_version(path)
    options = {
        "measures": list(measures),
        "over_time": over_time,
        "addresses": addresses,
        "memory_bytes": memory_bytes,
        "cpu_seconds": cpu_seconds,
        "memory_records": MEMORY_RECORDS,
    }
    command = [sys.executable, "-P", "-m", "forensics.formats.memray_reading", str(path), json.dumps(options)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=complaints, stdin=subprocess.DEVNULL, env=environment
        ) as process,
    ):
        try:
            facts, tables = _receive(process.stdout)
        finally:
            if process.stdout:
                process.stdout.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
            if process.poll() is None:
                process.kill()
        complaints.seek(0)
        said = complaints.read(1 << 16).decode("utf-8", "replace")
    if facts is None or "error" in facts or tables is None:
        raise _unreadable(path, (facts or {}).get("error"), process.returncode, said)
    return _profile(path, facts, tables, said)


def _finished(path: Path) -> bool:
    """Whether memray closed the file: it compresses it then, or writes its count of allocations into the header.

    The time of the end says less: until then it is the time at which the header was written, the start or a
    millisecond after it.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(_LZ4):
        return True
    # After the magic: header version and Python's version (4 bytes each), native traces and format (1 byte each).
    at = len(_MAGIC) + 10
    return len(head) >= at + 8 and struct.unpack_from("<Q", head, at)[0] > 0


def _check_version(path: Path) -> None:
    """Say which memray to install before memray refuses; its own message names no version."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    at = _magic_at(head)
    if at < 0 or len(head) < at + len(_MAGIC) + 4:
        return
    version = struct.unpack_from("<i", head, at + len(_MAGIC))[0]
    installed = importlib.metadata.version("memray")
    known = next((each for each, name in _RELEASES.items() if installed.startswith(name + ".")), 13)
    if version != known and version in range(1, 100):
        release = _RELEASES.get(
            version, "another release, newer than any known here" if version > 13 else "1.0"
        )
        wanted = re.match(r"[\d.]+", release)
        raise FormatError(
            f"{path.name} was written by memray {release} (header version {version}); "
            f"memray {installed} is installed, which reads header version {known} only.",
            advice=f"Install the one that wrote it beside this: pip install 'memray=={wanted[0]}.*'"
            if wanted
            else "Install the memray that the service runs.",
            path=str(path),
            version=version,
        )


def _receive(stream: IO[bytes] | None) -> tuple[dict[str, Any] | None, dict[str, pa.Table] | None]:
    assert stream is not None
    try:
        facts = json.loads(stream.readline(1 << 20))
        if "error" in facts:
            return facts, None
        return facts, {name: _table(stream) for name in TABLES}
    except (ValueError, OSError, EOFError, pa.ArrowException):
        return None, None


def _table(stream: IO[bytes]) -> pa.Table:
    columns = {}
    for name, code, size in json.loads(stream.readline(1 << 20)):
        data = stream.read(size)
        if len(data) != size:
            raise EOFError
        columns[name] = (
            pa.array(json.loads(data), pa.string()) if code == "s" else pa.array(np.frombuffer(data, code))
        )
    return pa.table(columns)


def _unreadable(path: Path, error: str | None, status: int, said: str) -> FormatError:
    if error is None:
        error = (
            f"memray's reader ended with status {status}" if status >= 0 else f"it ended by signal {-status}"
        )
        if said.strip():
            error += f" ({said.strip().splitlines()[-1][:200]})"
    return FormatError(
        f"{path.name} was opened as a memray file and cannot be read: {error}.",
        advice="The file is damaged. A file that memray is still writing, or that a killed process left, reads "
        "well unless it was made with --aggregate.",
        path=str(path),
    )


def _profile(path: Path, facts: dict[str, Any], tables: dict[str, pa.Table], said: str) -> AllocationProfile:
    rows = tables["rows"]
    keys = rows.group_by(["stack", "thread", "allocator"]).aggregate([])
    order = keys.append_column("row", pa.array(np.arange(keys.num_rows)))
    joined = rows.join(order, ["stack", "thread", "allocator"])
    measures = {}
    for number, name in enumerate(MEASURES):
        mine = joined.filter(pc.equal(joined["measure"], number))
        if mine.num_rows:
            size, count = np.zeros(keys.num_rows, np.int64), np.zeros(keys.num_rows, np.int64)
            np.add.at(size, mine["row"].to_numpy(), mine["bytes"].to_numpy())
            np.add.at(count, mine["row"].to_numpy(), mine["count"].to_numpy())
            measures[name] = Measure(size, count)
    measures = measures or {"live": Measure(np.zeros(0, np.int64), np.zeros(0, np.int64))}
    numbers = sorted(set(keys["allocator"].to_pylist()))
    lookup = {number: position for position, number in enumerate(numbers)}
    memory = tables["memory"]
    intervals = tables["intervals"]
    return AllocationProfile(
        frames=FrameTable(
            tables["frames"]["function"].combine_chunks(),
            tables["frames"]["file"].combine_chunks(),
            tables["frames"]["line"].to_numpy(),
        ),
        stack_offsets=np.concatenate([[0], tables["stacks"]["length"].to_numpy().cumsum()]).astype(np.int64),
        stack_frames=tables["members"]["frame"].to_numpy(),
        stacks=keys["stack"].to_numpy().astype(np.int32),
        threads=keys["thread"].to_numpy().astype(np.int32),
        allocators=np.array([lookup[each] for each in keys["allocator"].to_pylist()], np.int32),
        thread_names=tuple(tables["threads"]["name"].to_pylist()),
        allocator_names=tuple(_ALLOCATORS.get(each, str(each)) for each in numbers),
        measures=measures,
        origin=_origin(path, facts, said, float(memory["time"][-1].as_py()) if memory.num_rows else None),
        timeline=Timeline(
            memory["time"].to_numpy(),
            memory["resident"].to_numpy(),
            memory["heap"].to_numpy(),
            intervals if intervals.num_rows else None,
        ),
        addresses=tables["blocks"] if tables["blocks"].num_rows else None,
    )


def _origin(path: Path, facts: dict[str, Any], said: str, last: float | None) -> Origin:
    notes = []
    ended = _finished(path)
    if not ended:
        notes.append("The file is still being written, or its process was killed: it holds what came before.")
    damaged = "Memray ERROR" in said
    if damaged:
        line = next(each for each in said.splitlines() if "Memray ERROR" in each)
        notes.append(f"Reading stopped early, the figures hold up to there: {line.strip()[:200]}.")
    if not facts["trace_python_allocators"]:
        notes.append(
            "Taken without --trace-python-allocators: arenas of small objects are seen, not the objects."
        )
    if facts["aggregated"]:
        notes.append("Aggregated by memray: live and high-water mark only, no temporary and no history.")
    return Origin(
        tool="memray",
        runtime="python",
        file=path.name,
        start=facts["start"],
        end=facts["end"] if ended else last,
        complete=ended and not damaged,
        facts={key: facts[key] for key in facts if key not in {"start", "end"}},
        notes=tuple(notes),
    )


register(Loader("memray", "memray run, memray attach", (".memray", ".bin"), recognises, load))
