"""The process that reads a memray file: ``python -P -m forensics.formats.memray_reading PATH OPTIONS``.

memray's reader is native code made for files that memray itself wrote. A file out of a capture is nobody's
friend, so it is read in a process of its own with bounded memory and processor time; a crash there is a
FormatError here. It writes one line of JSON to standard output and then, for each of
``forensics.formats.memray.TABLES``, a line of JSON ``[[column, type code, bytes], …]`` and the bytes of the columns;
codes are those of ``array``, and ``s`` for a JSON list of strings. Only what reading needs is imported: arrow alone
would take longer than memray takes for a million allocations.
"""

from __future__ import annotations

import contextlib
import json
import operator
import resource
import sys
from array import array
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

BATCH = 1 << 17
#: the order of the numbers in the column ``measure``
MEASURES = ("live", "peak", "temporary")
#: what frees a block, in memray's AllocatorType: PYMALLOC_FREE, FREE, MUNMAP
FREES = (1, 5, 15)


def main(arguments: list[str]) -> int:
    """Read ``arguments[0]`` as told by the JSON in ``arguments[1]``."""
    options = json.loads(arguments[1])
    _bound(options["memory_bytes"], options["cpu_seconds"])
    output = sys.stdout.buffer

    import memray

    try:
        reader = memray.FileReader(arguments[0], max_memory_records=options["memory_records"])
        with reader:
            read = Reading(reader, options)
            output.write(json.dumps(read.facts()).encode() + b"\n")
            for table in read.tables():
                _write(output, table)
    except (OSError, ValueError, RuntimeError, MemoryError, NotImplementedError) as error:
        output.write(json.dumps({"error": str(error) or type(error).__name__}).encode() + b"\n")
        return 1
    return 0


def _bound(memory_bytes: int, cpu_seconds: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (value if hard < 0 else min(value, hard), hard))


#: column -> (type code, values); values are a list, or a numpy array of that type
Table = dict[str, tuple[str, Any]]


def _write(output: Any, table: Table) -> None:
    packed = {}
    for name, (code, values) in table.items():
        if code == "s":
            packed[name] = json.dumps(values).encode()
        else:
            packed[name] = values.tobytes() if hasattr(values, "tobytes") else array(code, values).tobytes()
    output.write(
        json.dumps([[name, table[name][0], len(data)] for name, data in packed.items()]).encode() + b"\n"
    )
    for data in packed.values():
        output.write(data)


class Reading:
    """One pass after another over the file; frames and stacks are interned across the passes."""

    def __init__(self, reader: Any, options: dict[str, Any]) -> None:
        from memray import FileFormat

        self._reader = reader
        self._options = options
        self._aggregated = reader.metadata.file_format == FileFormat.AGGREGATED_ALLOCATIONS
        self._native = bool(reader.metadata.has_native_traces)
        self._frames: dict[tuple[str, str, int], int] = {}
        self._stacks: dict[tuple[int, ...], int] = {}
        self._threads: dict[str, int] = {}

    def facts(self) -> dict[str, Any]:
        """What memray's metadata say."""
        metadata = self._reader.metadata
        return {
            "start": metadata.start_time.timestamp(),
            "end": metadata.end_time.timestamp(),
            "records": metadata.total_allocations,
            "peak_bytes": metadata.peak_memory,
            "command_line": metadata.command_line,
            "pid": metadata.pid,
            "python_allocator": metadata.python_allocator,
            "native_traces": self._native,
            "trace_python_allocators": bool(metadata.trace_python_allocators),
            "aggregated": self._aggregated,
        }

    def tables(self) -> Iterator[Table]:
        """Rows, intervals, memory samples, blocks, then the frames, stacks and threads they speak of."""
        yield self._rows()
        yield self._intervals()
        samples = list(self._reader.get_memory_snapshots())
        yield {
            "time": ("d", [each.time / 1000 for each in samples]),
            "resident": ("q", [each.rss for each in samples]),
            "heap": ("q", [each.heap for each in samples]),
        }
        yield self._blocks()
        yield {
            "function": ("s", [each[0] for each in self._frames]),
            "file": ("s", [each[1] for each in self._frames]),
            "line": ("i", [each[2] for each in self._frames]),
        }
        yield {"length": ("q", [len(each) for each in self._stacks])}
        yield {"frame": ("i", list(chain.from_iterable(self._stacks)))}
        yield {"name": ("s", list(self._threads))}

    def _rows(self) -> Table:
        queries = {
            "live": self._reader.get_leaked_allocation_records,
            "peak": self._reader.get_high_watermark_allocation_records,
        }
        if not self._aggregated:
            queries["temporary"] = self._reader.get_temporary_allocation_records
        columns: dict[str, list[int]] = {name: [] for name in _ROWS}
        for measure in self._options["measures"]:
            if measure in queries:
                known: dict[tuple[int, int, int, bool], int] = {}
                for record in queries[measure](merge_threads=False):
                    values = (
                        MEASURES.index(measure),
                        self._stack(record, known),
                        self._thread(record),
                        record.allocator,
                        record.size,
                        record.n_allocations,
                    )
                    for column, value in zip(columns.values(), values, strict=True):
                        column.append(value)
        return {name: ("q", columns[name]) for name in _ROWS}

    def _intervals(self) -> Table:
        columns: dict[str, list[int]] = {
            name: [] for name in ("stack", "thread", "first", "last", "count", "bytes")
        }
        if self._options["over_time"] and not self._aggregated:
            known: dict[tuple[int, int, int, bool], int] = {}
            for record in self._reader.get_temporal_allocation_records(merge_threads=False):
                stack, thread = self._stack(record, known), self._thread(record)
                for each in record.intervals:
                    freed = each.deallocated_before_snapshot
                    columns["stack"].append(stack)
                    columns["thread"].append(thread)
                    columns["first"].append(each.allocated_before_snapshot)
                    columns["last"].append(-1 if freed is None else freed)
                    columns["count"].append(each.n_allocations)
                    columns["bytes"].append(each.n_bytes)
        return {name: ("q", values) for name, values in columns.items()}

    def _blocks(self) -> Table:
        """The blocks live at the end with their addresses; batches, so that memory follows what is live."""
        if not self._options["addresses"] or self._aggregated:
            return {"address": ("Q", []), "size": ("q", []), "stack": ("i", [])}
        import numpy as np

        live = np.zeros((0, 3), np.uint64)  # address, size, number of the stack's first record
        fields = operator.attrgetter("address", "size", "stack_id", "native_stack_id", "allocator")
        known: dict[tuple[int, int, int, bool], int] = {}
        seen: dict[int, int] = {}
        records = iter(self._reader.get_allocation_records())
        while batch := list(islice(records, BATCH)):
            values = np.fromiter(chain.from_iterable(map(fields, batch)), np.uint64, 5 * len(batch)).reshape(
                -1, 5
            )
            addresses, back = np.unique(values[::-1, 0], return_index=True)
            last = len(batch) - 1 - back
            if len(live):
                at = np.minimum(np.searchsorted(addresses, live[:, 0]), len(addresses) - 1)
                live = live[addresses[at] != live[:, 0]]
            last = last[~np.isin(values[last, 4], FREES)]
            fresh = np.empty((len(last), 3), np.uint64)
            fresh[:, :2] = values[last, :2]
            ids = values[last, 2] << np.uint64(32) | values[last, 3]
            for identity, position in zip(*np.unique(ids, return_index=True), strict=True):
                if int(identity) not in seen:
                    seen[int(identity)] = self._stack(batch[int(last[position])], known)
            distinct, inverse = np.unique(ids, return_inverse=True)
            fresh[:, 2] = np.array([seen[int(each)] for each in distinct], np.uint64)[inverse]
            live = np.concatenate([live, fresh])
        live = live[np.argsort(live[:, 0], kind="stable")]
        return {
            "address": ("Q", np.ascontiguousarray(live[:, 0])),
            "size": ("q", live[:, 1].astype(np.int64)),
            "stack": ("i", live[:, 2].astype(np.int32)),
        }

    def _stack(self, record: Any, known: dict[tuple[int, int, int, bool], int]) -> int:
        identity = (
            record.stack_id,
            record.native_stack_id,
            record.native_segment_generation,
            record.allocator in FREES,
        )
        if identity not in known:
            trace: list[tuple[str, str, int]] = []
            with contextlib.suppress(NotImplementedError):  # what frees has no stack
                trace = record.hybrid_stack_trace() if self._native else record.stack_trace()
            frames = tuple(self._frames.setdefault(each, len(self._frames)) for each in trace)
            known[identity] = self._stacks.setdefault(frames, len(self._stacks))
        return known[identity]

    def _thread(self, record: Any) -> int:
        return self._threads.setdefault(record.thread_name or hex(record.tid), len(self._threads))


_ROWS = ("measure", "stack", "thread", "allocator", "bytes", "count")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
