"""The tables of a graph that were not given: no rows, the right columns."""

from __future__ import annotations

import pyarrow as pa


def frames() -> pa.Table:
    """No running frame."""
    return pa.table(
        {
            "object": pa.array([], pa.int32()),
            "thread_id": pa.array([], pa.uint64()),
            "thread_name": pa.array([], pa.string()),
            "depth": pa.array([], pa.int32()),
            "function": pa.array([], pa.string()),
            "file": pa.array([], pa.string()),
            "line": pa.array([], pa.int32()),
        }
    )


def code() -> pa.Table:
    """No code object."""
    return pa.table(
        {
            "object": pa.array([], pa.int32()),
            "qualname": pa.array([], pa.string()),
            "file": pa.array([], pa.string()),
            "first_line": pa.array([], pa.int32()),
        }
    )
