"""Which call of a JavaScript program fetched the data: from the lines that fill a holder through what they call."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from forensics.agent.stream import EdgeKind
from forensics.dynamodb.provenance import Call
from forensics.dynamodb.vocabulary import OPERATIONS, READ_METHODS
from forensics.heap.graph import HeapGraph

_LITERAL = re.compile(r'TableName="([\w.-]+)"')
_NAMED = re.compile(r"TableName=(?!\")([\w$.]+)")
_READS = frozenset(OPERATIONS[name] for name in READ_METHODS)
#: Calls of calls are followed so far.
_DEEP = 4


def calls(graph: HeapGraph, sources: pd.DataFrame | None, filling: Iterable[tuple[str, str]]) -> list[Call]:
    """The DynamoDB calls of the scopes that fill a holder, then of the functions they call, nearest first.

    ``filling`` are the (file, scope) pairs of the lines that fill it.
    """
    if sources is None or not len(sources):
        return []
    said = sources[sources["kind"].isin(("call", "invoke"))]
    by_scope: dict[tuple[str, str], pd.DataFrame] = {
        (str(file), str(scope)): rows for (file, scope), rows in said.groupby(["file", "scope"], sort=False)
    }
    named: dict[str, list[tuple[str, str]]] = {}
    for key in by_scope:
        named.setdefault(key[1].rpartition(".")[2], []).append(key)
    found: list[Call] = []
    seen: set[tuple[str, str]] = set()
    level = list(dict.fromkeys(filling))
    for _ in range(_DEEP):
        following: list[tuple[str, str]] = []
        here: list[Call] = []
        for key in level:
            rows = by_scope.get(key)
            if key in seen or rows is None:
                continue
            seen.add(key)
            here += [_call(graph, sources, row) for row in rows[rows["kind"] == "call"].itertuples()]
            for name in rows.loc[rows["kind"] == "invoke", "name"]:
                following += [each for each in named.get(str(name), []) if each not in seen]
        found += sorted(here, key=lambda call: call.operation not in _READS)
        level = list(dict.fromkeys(following))
    return found


def tables(graph: HeapGraph, sources: pd.DataFrame | None) -> set[str]:
    """Every table that a call in the program's lines names."""
    if sources is None or not len(sources):
        return set()
    rows = sources[sources["kind"] == "call"]
    named = {_table(graph, sources, str(row.file), str(row.detail)) for row in rows.itertuples()}
    return {table for table in named if table}


def _call(graph: HeapGraph, sources: pd.DataFrame, row: object) -> Call:
    file, detail = str(row.file), str(row.detail)  # type: ignore[attr-defined]
    where = f"{file}:{row.line} {row.scope or 'module'}()"  # type: ignore[attr-defined]
    return Call(detail.partition(" ")[0], _table(graph, sources, file, detail), where)


def _table(graph: HeapGraph, sources: pd.DataFrame, file: str, detail: str) -> str | None:
    """The table that a call names: literally, by a value that the heap still has, or by a constant of the program."""
    literal = _LITERAL.search(detail)
    if literal:
        return literal[1]
    expression = _NAMED.search(detail)
    if not expression:
        return None
    name = expression[1].rpartition(".")[2]
    held = _texts_at(graph, name)
    if len(held) == 1:
        return next(iter(held))
    constants = sources[(sources["kind"] == "constant") & (sources["name"] == name)]
    own = constants[constants["file"] == file]
    texts = set((own if len(own) else constants)["detail"])
    return str(next(iter(texts))) if len(texts) == 1 else None


def _texts_at(graph: HeapGraph, name: str) -> set[str]:
    """The texts that were kept at properties and variables of this name."""

    def compute() -> set[str]:
        index = graph.strings.index(name).as_py()
        if index < 0:
            return set()
        wanted = np.isin(graph.kinds, (EdgeKind.ATTRIBUTE, EdgeKind.CLOSURE)) & (graph.labels == index)
        targets = np.unique(graph.targets[wanted])
        strings = targets[graph.types[targets] == graph.type_id("(string)")]
        return {text for i in strings.tolist() if (text := graph.text(i))}

    return graph._once(f"texts at {name}", compute)
