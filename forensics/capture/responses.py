"""What the DynamoDB tracer in the target noted, as the table ``responses.parquet``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forensics.bundle import Bundle

SCHEMA = pa.schema(
    [
        ("snapshot", pa.int32()),
        ("tag_address", pa.uint64()),
        ("operation", pa.string()),
        ("tables", pa.list_(pa.string())),
        ("index", pa.string()),
        ("request_id", pa.string()),
        ("page", pa.int32()),
        ("file", pa.string()),
        ("line", pa.int32()),
        ("function", pa.string()),
        ("time", pa.float64()),
        ("context", pa.string()),
        ("held", pa.bool_()),
    ]
)


def table(answers: Iterable[tuple[int, Iterable[Mapping[str, Any]]]]) -> pa.Table:
    """The rows of the agent's verb ``responses``, asked beside each snapshot, or those found in a heap of V8.

    Parameters
    ----------
    answers : (number of the snapshot, its rows); see ``forensics.agent.tracing.rows``, ``forensics.formats.v8.tags``.

    Returns
    -------
    A table with ``SCHEMA``; a row of another shape (an older agent's) fills what it lacks with nulls.
    """
    rows = [{**row, "snapshot": snapshot} for snapshot, found in answers for row in found]
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in SCHEMA.names} for row in rows], schema=SCHEMA
    )


def keep(bundle: Bundle, answers: Iterable[tuple[int, Sequence[Mapping[str, Any]]]]) -> None:
    """Write the table into a capture, if there is anything in it: without the tracer there is none."""
    noted = [(snapshot, rows) for snapshot, rows in answers if rows]
    if noted:
        bundle.write("responses.parquet", lambda path: pq.write_table(table(noted), path))
