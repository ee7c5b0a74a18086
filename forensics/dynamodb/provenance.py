"""Which call fetched the data: the tracer's tags where it ran, otherwise what the heap itself tells.

Inference goes from strong to weak: the tags inside responses; the keys of a response; parameters of requests that
are retained; the functions of the program that use the holder, and which SDK calls and tables they name; the
program's lines in ``sources``. What is inferred says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forensics.dynamodb import code
from forensics.dynamodb.code import Function
from forensics.dynamodb.recognise import OPERATIONS as KEY_OPERATIONS
from forensics.dynamodb.recognise import recognise
from forensics.dynamodb.vocabulary import OPERATIONS, READ_METHODS, Kind
from forensics.heap.graph import HeapGraph
from forensics.heap.javascript import is_node

_TABLE_IN_CODE = re.compile(r'TableName="([A-Za-z0-9_.-]{3,255})"')
_NAMES = frozenset(OPERATIONS.values())
_READS = frozenset(OPERATIONS[name] for name in READ_METHODS)


@dataclass(frozen=True)
class Call:
    """A DynamoDB call that the program makes; ``where`` is ``file:line function()``."""

    operation: str
    table: str | None
    where: str


@dataclass(frozen=True)
class Provenance:
    """The call behind retained data.

    ``operation`` and ``table`` are None where nothing tells; ``inferred`` is False only for the tracer's word.
    ``sites`` are call sites (``file:line function``), ``reasons`` say what each answer rests on.
    """

    operation: str | None = None
    table: str | None = None
    inferred: bool = True
    confidence: float = 0.0
    sites: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


def provenance(
    graph: HeapGraph,
    content: np.ndarray,
    *,
    users: tuple[Function, ...] = (),
    filling: Iterable[tuple[str, str]] = (),
    responses: pd.DataFrame | None = None,
    sources: pd.DataFrame | None = None,
) -> Provenance:
    """Which call fetched what lies in ``content``.

    Parameters
    ----------
    content : bool[n], the objects that a holder holds
    users : the program's functions that fill or read the holder
    filling : (file, scope) of the lines that fill it
    responses : the tracer's notes for this snapshot
    sources : the program's lines, see ``forensics.capture.sources``
    """
    traced = from_tags(graph, content, responses)
    if traced is not None:
        return traced
    keys = operation_of_keys(graph, content)
    if is_node(graph):
        return _of_script(graph, keys, filling, sources)
    held = graph._once("forensics.dynamodb.tables", lambda: code.table_names(graph))
    calls = [*calls_in_sources(graph, sources, users, filling), *calls_in_code(graph, users, held)]
    call, operation, reasons = _agree(keys, calls)
    if operation is None and keys is not None:
        operation, why = _operation_by_elimination(keys, graph, sources)
        reasons += [why] if why else []
    table = call.table if call is not None else None
    if table is not None and call is not None:
        reasons.append(f"table inferred from {call.where}")
    else:
        table, why = _table_by_elimination(held, sources)
        reasons += [why] if why else []
    sure = 0.0 if operation is None else 0.85 if keys and operation in keys else 0.6
    sites = (call.where,) if call is not None else ()
    return Provenance(operation, table, True, sure, sites, tuple(reasons))


def _of_script(
    graph: HeapGraph, keys: str | None, filling: Iterable[tuple[str, str]], sources: pd.DataFrame | None
) -> Provenance:
    from forensics.dynamodb.provenance_node import calls, tables

    found = calls(graph, sources, filling)
    call, operation, reasons = _agree(keys, found)
    if operation is None and keys is not None:
        operation, why = _operation_by_elimination(keys, graph, sources)
        reasons += [why] if why else []
    table = call.table if call is not None else None
    if table is not None and call is not None:
        reasons.append(f"table inferred from {call.where}")
    else:
        every = tables(graph, sources)
        if len(every) == 1:
            table = next(iter(every))
            reasons.append("table inferred: the only one that the program names")
    sure = 0.0 if operation is None else 0.85 if keys and operation in keys else 0.6
    return Provenance(operation, table, True, sure, (call.where,) if call is not None else (), tuple(reasons))


def from_tags(graph: HeapGraph, content: np.ndarray, responses: pd.DataFrame | None) -> Provenance | None:
    """The tracer's answer: the most frequent call among the tags that lie in ``content``."""
    if responses is None or not len(responses) or "tag_address" not in responses:
        return None
    addresses = np.sort(graph.addresses[content])
    tags = responses["tag_address"].to_numpy(np.uint64)
    if not len(addresses):
        return None
    at = np.minimum(np.searchsorted(addresses, tags), len(addresses) - 1)
    held = responses[addresses[at] == tags]
    if not len(held):
        return None
    tables = held["tables"].map(lambda names: ", ".join(names) if names is not None else "")
    calls = Counter(zip(held["operation"], tables, held["file"], held["line"], held["function"], strict=True))
    operation, table, _, _, _ = calls.most_common(1)[0][0]
    sites = [f"{file}:{line} {function}()" for (_, _, file, line, function), _ in calls.most_common(3)]
    oldest = held["time"].astype(float).min()
    now = float(graph.meta.get("time", 0) or 0)
    since = f", the oldest for {age(now - oldest)}" if now > oldest > 0 else ""
    contexts = [str(each) for each in held["context"].dropna().unique()[:2] if str(each)]
    during = f" during {' and '.join(contexts)}" if contexts else ""
    said = [
        f"{count:,} {op} responses of {names or '?'} fetched at {file}:{line}{during} are still here{since}"
        for (op, names, file, line, _), count in calls.most_common(3)
    ]
    return Provenance(operation, table or None, False, 0.99, tuple(sites), ("traced: " + "; ".join(said),))


def age(seconds: float) -> str:
    """``37 s``, ``37 min``."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def operation_of_keys(graph: HeapGraph, content: np.ndarray) -> str | None:
    """The operation that most responses in ``content`` show by their keys; stream records come from one only."""
    found = recognise(graph)
    held = content[found.objects]
    inside = (found.kinds == Kind.RESPONSE) & held & (found.operations > 0)
    if not inside.any():
        return "GetRecords" if (held & (found.kinds == Kind.STREAM_RECORD)).any() else None
    return KEY_OPERATIONS[int(np.bincount(found.operations[inside]).argmax())]


def calls_in_code(
    graph: HeapGraph, users: tuple[Function, ...], tables: frozenset[str] = frozenset()
) -> list[Call]:
    """DynamoDB calls that the functions name: their own, then their callees', then their callers'."""
    calls = []
    for function in around(graph, users):
        named = [each for each in function.constants if each in tables]
        for operation in _operations_of(function):
            calls.append(Call(operation, named[0] if named else None, function.place))
    return calls


def around(graph: HeapGraph, users: tuple[Function, ...]) -> list[Function]:
    """The users, what they call (two deep), and what calls them, in this order, each once."""
    if not users:
        return []
    callees = code.callees(graph, users)
    every = [*users, *callees, *code.callers(graph, users), *code.callees(graph, callees)]
    return list({function.object: function for function in every}.values())


def _operations_of(function: Function) -> list[str]:
    paginated = "get_paginator" in function.names or "paginate" in function.names
    found = [OPERATIONS[name] for name in sorted(function.names & set(OPERATIONS))]
    if paginated:
        found += [OPERATIONS[each] for each in function.constants if each in OPERATIONS]
    return sorted(dict.fromkeys(found), key=lambda operation: operation not in _READS)


def calls_in_sources(
    graph: HeapGraph,
    sources: pd.DataFrame | None,
    users: tuple[Function, ...],
    filling: Iterable[tuple[str, str]] = (),
) -> list[Call]:
    """DynamoDB calls in the program's lines: in the scopes that fill the holder, then in those around.

    ``filling`` are the (file, scope) pairs of the lines that fill it.
    """
    if sources is None or not len(sources):
        return []
    rows = sources[sources["kind"] == "call"]
    by_scope: dict[tuple[str, str], list[Call]] = {}
    for (file, scope), group in rows.groupby([rows["file"], rows["scope"].fillna("")], sort=False):
        by_scope[str(file), str(scope)] = _calls_of_scope(group)
    _add_tables_of_files(rows, by_scope)
    order = [*filling, *((each.file, _scope(each.qualname)) for each in users)]
    fillers = set(order)
    named = tuple(each for each in code.functions(graph) if (each.file, _scope(each.qualname)) in fillers)
    order += [(each.file, _scope(each.qualname)) for each in around(graph, (*named, *users))]
    return [call for key in dict.fromkeys(order) for call in by_scope.get(key, [])]


def _scope(qualname: str) -> str:
    return "" if qualname == "<module>" else qualname


def _calls_of_scope(rows: pd.DataFrame) -> list[Call]:
    """The calls of one scope; a table that only another line of the scope names counts for all."""
    found, tables = [], []
    for row in rows.itertuples():
        detail = str(row.detail or "")
        table = _TABLE_IN_CODE.search(detail)
        tables += [table[1]] if table else []
        first = detail.split(" ", maxsplit=1)[0]
        if first in _NAMES:
            where = f"{row.file}:{row.line} {row.scope or '<module>'}()"
            found.append(Call(first, table[1] if table else None, where))
    if len(set(tables)) == 1:
        found = [Call(call.operation, call.table or tables[0], call.where) for call in found]
    return sorted(found, key=lambda call: call.operation not in _READS)


def _add_tables_of_files(rows: pd.DataFrame, by_scope: dict[tuple[str, str], list[Call]]) -> None:
    """A call without a table gets the one that its whole file names, if that is one."""
    details = rows["detail"].fillna("").map(_TABLE_IN_CODE.findall)
    for file, found in details.groupby(rows["file"]):
        tables = {table for names in found for table in names}
        if len(tables) != 1:
            continue
        only = next(iter(tables))
        for key in [key for key in by_scope if key[0] == file]:
            by_scope[key] = [Call(call.operation, call.table or only, call.where) for call in by_scope[key]]


def _agree(keys: str | None, calls: list[Call]) -> tuple[Call | None, str | None, list[str]]:
    """One call out of what the keys of responses and the program's calls say, its operation, and the reasons."""
    if keys is None:
        if not calls:
            return None, None, []
        return calls[0], calls[0].operation, [f"operation inferred from {calls[0].where}"]
    reasons = [f"operation inferred from the keys of the retained responses: {keys}"]
    options = re.split(r", | or ", keys)
    fitting = next((call for call in calls if call.operation in options), None)
    if fitting is None:
        return None, options[0] if len(options) == 1 else None, reasons
    if len(options) > 1:
        reasons.append(f"{fitting.operation} inferred from {fitting.where}")
    return fitting, fitting.operation, reasons


def _operation_by_elimination(
    keys: str, graph: HeapGraph, sources: pd.DataFrame | None
) -> tuple[str | None, str]:
    """The only operation that both gives such a response and is called anywhere in the program."""
    called = {operation for function in code.functions(graph) for operation in _operations_of(function)}
    if sources is not None and len(sources):
        details = sources.loc[sources["kind"] == "call", "detail"].fillna("")
        called |= {detail.partition(" ")[0] for detail in details}
    fitting = called & set(re.split(r", | or ", keys))
    if len(fitting) != 1:
        return None, ""
    only = next(iter(fitting))
    return only, f"{only} inferred: the only such call in the program"


def _table_by_elimination(held: frozenset[str], sources: pd.DataFrame | None) -> tuple[str | None, str]:
    """The only table that the heap or the program names at all."""
    if len(held) == 1:
        return next(iter(held)), "table inferred: the only one that this heap names"
    if sources is not None and len(sources):
        details = sources.loc[sources["kind"] == "call", "detail"].fillna("")
        named = {table for detail in details for table in _TABLE_IN_CODE.findall(detail)}
        if len(named) == 1:
            return next(iter(named)), "table inferred: the only one that the program's lines name"
    return None, ""
