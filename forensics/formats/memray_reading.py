"""The process that reads a memray file: ``python -P -m forensics.formats.memray_reading PATH OPTIONS``.

memray's reader is native code made for files that memray itself wrote. A file out of a capture is nobody's
friend, so it is read in a process of its own with bounded memory and processor time; a crash there is a
FormatError here. It writes one line of JSON to standard output and then arrow streams, in the order of
``forensics.formats.memray.TABLES``.
"""

from __future__ import annotations

import contextlib
import json
import operator
import resource
import sys
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

BATCH = 1 << 17
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


def _write(output: Any, table: Any) -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(output, table.schema) as stream:
        stream.write_table(table)


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

    def tables(self) -> Iterator[Any]:
        """Rows, intervals, memory samples, blocks, then the frames, stacks and threads they speak of."""
        import pyarrow as pa

        yield self._rows()
        yield self._intervals()
        samples = [(each.time / 1000, each.rss, each.heap) for each in self._reader.get_memory_snapshots()]
        yield pa.table(
            {
                "time": pa.array([each[0] for each in samples], pa.float64()),
                "resident": pa.array([each[1] for each in samples], pa.int64()),
                "heap": pa.array([each[2] for each in samples], pa.int64()),
            }
        )
        yield self._blocks()
        frames = list(self._frames)
        yield pa.table(
            {
                "function": pa.array([each[0] for each in frames], pa.string()),
                "file": pa.array([each[1] for each in frames], pa.string()),
                "line": pa.array([each[2] for each in frames], pa.int32()),
            }
        )
        yield pa.table({"frames": pa.array(list(self._stacks), pa.list_(pa.int32()))})
        yield pa.table({"name": pa.array(list(self._threads), pa.string())})

    def _rows(self) -> Any:
        import pyarrow as pa

        queries = {
            "live": self._reader.get_leaked_allocation_records,
            "peak": self._reader.get_high_watermark_allocation_records,
        }
        if not self._aggregated:
            queries["temporary"] = self._reader.get_temporary_allocation_records
        columns: dict[str, list[Any]] = {name: [] for name in _ROWS}
        for measure in self._options["measures"]:
            if measure in queries:
                known: dict[tuple[int, int, int, bool], int] = {}
                for record in queries[measure](merge_threads=False):
                    values = (
                        measure,
                        self._stack(record, known),
                        self._thread(record),
                        record.allocator,
                        record.size,
                        record.n_allocations,
                    )
                    for column, value in zip(columns.values(), values, strict=True):
                        column.append(value)
        return pa.table({name: pa.array(columns[name], kind) for name, kind in _row_types(pa).items()})

    def _intervals(self) -> Any:
        import pyarrow as pa

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
        return pa.table({name: pa.array(values, pa.int64()) for name, values in columns.items()})

    def _blocks(self) -> Any:
        """The blocks live at the end with their addresses; batches, so that memory follows what is live."""
        import numpy as np
        import pyarrow as pa

        live = np.zeros((0, 3), np.uint64)  # address, size, number of the stack's first record
        if self._options["addresses"] and not self._aggregated:
            fields = operator.attrgetter("address", "size", "stack_id", "native_stack_id", "allocator")
            known: dict[tuple[int, int, int, bool], int] = {}
            seen: dict[int, int] = {}
            records = iter(self._reader.get_allocation_records())
            while batch := list(islice(records, BATCH)):
                values = np.fromiter(
                    chain.from_iterable(map(fields, batch)), np.uint64, 5 * len(batch)
                ).reshape(-1, 5)
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
        return pa.table(
            {
                "address": pa.array(live[:, 0]),
                "size": pa.array(live[:, 1].astype(np.int64)),
                "stack": pa.array(live[:, 2].astype(np.int32)),
            }
        )

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


def _row_types(pa: Any) -> dict[str, Any]:
    numbers = (pa.int32(), pa.int32(), pa.int32(), pa.int64(), pa.int64())
    return dict(zip(_ROWS, (pa.string(), *numbers), strict=True))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
