"""SQL over a graph: the tables ``objects``, ``edges`` and ``roots``, read-only, on DuckDB.

A query sees these tables and nothing else: no file, no network, no extension, no setting that could change that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.agent.stream import EdgeKind, RootKind
from forensics.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

TABLES = {
    "objects": "id, address, type, shape, shallow_size, retained_size, dominator, reachable",
    "edges": "source, target, kind, label",
    "roots": "object, kind, name",
}
_BY_STRING = (EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CLOSURE, EdgeKind.SLOT, EdgeKind.INTERNAL)
_BY_POSITION = (EdgeKind.ITEM, EdgeKind.MEMBER, EdgeKind.CODE_CONSTANT)
_SHOWN = 40


@dataclass(frozen=True, eq=False)
class QueryResult:
    """The rows that a query gave, as one pyarrow table."""

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows())

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.table.column_names)

    def rows(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        """The rows as tuples of plain Python values, all or the first ``limit``."""
        table = self.table if limit is None else self.table.slice(0, limit)
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dicts, as ``forensics sql --json`` prints them."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found

    def to_pandas(self) -> pd.DataFrame:
        """The same as a DataFrame."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        from .show import query_text

        return query_text(self)

    def _repr_html_(self) -> str:
        from .show import query_html

        return query_html(self)


def sql(graph: HeapGraph, query: str) -> QueryResult:
    """Run one SELECT.

    Raises
    ------
    QueryError : not one SELECT, a column or table that is not there, access to anything outside the tables.
    """
    import duckdb

    with duckdb.connect(":memory:") as connection:
        _only_reading(connection, query)
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        connection.execute("SET python_enable_replacements = false")
        for name in TABLES:
            if re.search(rf"\b{name}\b", query, re.IGNORECASE):
                connection.register(name, _table_of(graph, name))
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        try:
            found = connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise _error(query, error) from None
    return QueryResult(found)


def _table_of(graph: HeapGraph, name: str) -> pa.Table:
    return graph._once(f"table {name}", lambda: table(graph, name))


def table(graph: HeapGraph, name: str) -> pa.Table:
    """One of the tables a query sees."""
    return {"objects": _objects, "edges": _edges, "roots": _roots}[name](graph)


def _only_reading(connection: Any, query: str) -> None:
    import duckdb

    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise _error(query, error) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        kinds = ", ".join(str(s.type).rpartition(".")[2] for s in statements) or "nothing"
        raise QueryError(
            f"A query must be one SELECT; this is {kinds}.",
            advice="A graph is only read. " + _what_is_there(),
            query=query,
        )


def _error(query: str, error: Exception) -> QueryError:
    return QueryError(
        f"The query could not be run: {str(error).strip().splitlines()[0]}",
        advice=_what_is_there(),
        query=query,
        error=str(error),
    )


def _what_is_there() -> str:
    return "Tables: " + "; ".join(f"{name}({columns})" for name, columns in TABLES.items()) + "."


def _objects(graph: HeapGraph) -> pa.Table:
    n = len(graph)
    return pa.table(
        {
            "id": pa.array(np.arange(n, dtype=np.int32)),
            "address": pa.array(np.ascontiguousarray(graph.addresses)),
            "type": _words(np.ascontiguousarray(graph.types), graph.type_names),
            "shape": _words(graph.shapes().ids, pa.array(graph.shapes().names(), pa.large_string())),
            "shallow_size": pa.array(graph.shallow_sizes),
            "retained_size": pa.array(graph.retained_sizes()),
            "dominator": pa.array(graph.immediate_dominators()),
            "reachable": pa.array(graph.reachable()),
        }
    )


def _edges(graph: HeapGraph) -> pa.Table:
    kinds, labels = np.ascontiguousarray(graph.kinds), np.array(graph.labels, np.int32)
    strings = graph.strings
    keyed = (kinds == EdgeKind.KEY) & (labels >= 0)
    labels[keyed] = graph.texts[labels[keyed]]
    placed = np.isin(kinds, [int(kind) for kind in _BY_POSITION]) & (labels >= 0)
    highest = int(labels[placed].max()) + 1 if placed.any() else 0
    words = pa.concat_arrays(
        [strings.cast(pa.large_string()), pc.cast(pa.array(np.arange(highest)), pa.large_string())]
    )
    labels[placed] += len(strings)
    labels[~(keyed | placed | np.isin(kinds, [int(kind) for kind in _BY_STRING]))] = -1
    sources = np.repeat(np.arange(len(graph), dtype=np.int32), np.diff(graph.offsets))
    return pa.table(
        {
            "source": pa.array(sources),
            "target": pa.array(graph.targets),
            "kind": _words(
                kinds.astype(np.int32), pa.array([k.name.lower() for k in EdgeKind], pa.large_string())
            ),
            "label": _words(labels, words),
        }
    )


def _roots(graph: HeapGraph) -> pa.Table:
    return pa.table(
        {
            "object": pa.array(graph.root_objects),
            "kind": _words(
                graph.root_kinds.astype(np.int32),
                pa.array([k.name.lower() for k in RootKind], pa.large_string()),
            ),
            "name": _words(np.ascontiguousarray(graph.root_names), graph.strings),
        }
    )


def _words(indices: np.ndarray, words: pa.Array) -> pa.Array:
    """Texts by index (-1: none), without making a text for each row."""
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), words)
