"""The tables of a graph that were not given: no rows, the right columns."""

from __future__ import annotations

import pyarrow as pa

from forensics import arrow


def frames() -> pa.Table:
    """No running frame."""
    columns = {
        "object": pa.int32(),
        "thread_id": pa.uint64(),
        "thread_name": pa.string(),
        "depth": pa.int32(),
        "function": pa.string(),
        "file": pa.string(),
        "line": pa.int32(),
    }
    return arrow.table(dict.fromkeys(columns, ()), pa.schema(columns))


def code() -> pa.Table:
    """No code object."""
    columns = {"object": pa.int32(), "qualname": pa.string(), "file": pa.string(), "first_line": pa.int32()}
    return arrow.table(dict.fromkeys(columns, ()), pa.schema(columns))


def unused() -> pa.Table:
    """No captured variable of which it is known that nothing uses it."""
    columns = {"reference": pa.int64(), "function": pa.string(), "file": pa.string(), "line": pa.int32()}
    return arrow.table(dict.fromkeys(columns, ()), pa.schema(columns))
