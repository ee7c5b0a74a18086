"""Arrow columns from plain values and back, without pandas.

pyarrow's own ``array``, ``table``, ``scalar`` and ``to_numpy`` import pandas before they look at their argument: 40 MB
and a third of a second of processor time, which a capture beside a busy service and a first look at it do not need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def numbers(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """The numbers of a column as they lie in memory, read-only; without a copy where it is in one piece.

    Raises
    ------
    ValueError : it has entries without a number.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} entries have no number")
    dtype, values = np.dtype(str(column.type)), column.buffers()[1] if len(column) else None
    if values is None:
        return np.empty(0, dtype)
    return np.frombuffer(values, dtype, len(column), column.offset * dtype.itemsize)


def column(values: np.ndarray | Sequence[Any], kind: pa.DataType) -> pa.Array:
    """``values`` as a column of ``kind``: an integer or floating-point type, ``string`` or ``large_string``.

    Numbers in an array of that type already are not copied; None is an entry without a value.

    Raises
    ------
    TypeError, ValueError, OverflowError : a value is not of that kind.
    """
    absent = not isinstance(values, np.ndarray) and [value is None for value in values]
    known = np.invert(np.array(absent, bool)) if absent and any(absent) else None
    bitmap = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    count = len(values)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pa.Array.from_buffers(kind, count, [bitmap, *_texts(values, kind)])
    if known is not None:
        values = [0 if value is None else value for value in values]
    wanted = np.dtype(str(kind))
    if isinstance(values, np.ndarray) and not np.can_cast(values.dtype, wanted, "same_kind"):
        raise TypeError(f"numbers of type {values.dtype} are no {kind}")
    plain = np.ascontiguousarray(values, wanted)
    return pa.Array.from_buffers(kind, count, [bitmap, pa.py_buffer(plain)])


def taken(column: pa.Array, rows: np.ndarray) -> pa.Array:
    """The entries of a column at these places, in their order; a copy."""
    return column.take(
        pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows.astype(np.int64))])
    )


def index(texts: pa.Array, text: str) -> int:
    """The first place of a text in a column of texts, -1 where it has none."""
    return int(texts.index(column([text], texts.type)[0]).as_py())


def truths(column: pa.Array) -> np.ndarray:
    """bool[n] of a column of truth values; a copy."""
    bits = np.unpackbits(np.frombuffer(column.buffers()[1], np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(np.bool_)


def table(columns: Mapping[str, np.ndarray | Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """A table of ``schema`` of columns by their names."""
    arrays = [column(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _texts(values: np.ndarray | Sequence[Any], kind: pa.DataType) -> tuple[pa.Buffer, pa.Buffer]:
    """Where each text ends, and all of them in UTF-8."""
    encoded = [b"" if value is None else value.encode() for value in values]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    if pa.types.is_string(kind):
        if offsets[-1] > np.iinfo(np.int32).max:
            raise OverflowError(f"{offsets[-1]} bytes of text are too many for one column of {kind}")
        offsets = offsets.astype(np.int32)
    return pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))
