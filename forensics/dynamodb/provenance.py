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
from forensics.dynamodb.vocabulary import OPERATIONS, READ_METHODS, WORDS, Kind
from forensics.heap.graph import HeapGraph

_TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,254}")
_TABLE_IN_CODE = re.compile(r"""(?:TableName\s*=\s*|\.Table\(\s*)f?["']([A-Za-z0-9_.-]{3,255})["']""")
_FROM_TABLE = re.compile(r"""\bFROM\s+["']?([A-Za-z0-9_.-]{3,255})""", re.IGNORECASE)
_CALL = re.compile(r"\.(\w+)\s*\(|get_paginator\(\s*[\"'](\w+)[\"']")


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
    responses: pd.DataFrame | None = None,
    sources: pd.DataFrame | None = None,
) -> Provenance:
    """Which call fetched what lies in ``content``.

    Parameters
    ----------
    content : bool[n], the objects that a holder holds
    users : the program's functions that fill or read the holder
    responses : the tracer's notes for this snapshot
    sources : the program's lines, see ``forensics.capture.sources``
    """
    traced = from_tags(graph, content, responses)
    if traced is not None:
        return traced
    keys = operation_of_keys(graph, content)
    called, sites = calls_in(graph, users)
    if not called and sources is not None:
        called, sites = calls_in_sources(sources, users)
    operation, reasons = _agree(keys, called)
    table, why = table_of(graph, content, users, sources)
    if why:
        reasons.append(why)
    sure = 0.0 if operation is None else 0.85 if keys and keys == operation else 0.6
    return Provenance(operation, table, True, sure, tuple(sites[:3]), tuple(reasons))


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
    age = f", the oldest for {_age(now - oldest)}" if now > oldest > 0 else ""
    contexts = [str(each) for each in held["context"].dropna().unique()[:2] if str(each)]
    during = f" during {' and '.join(contexts)}" if contexts else ""
    said = [
        f"{count:,} {op} responses of {names or '?'} fetched at {file}:{line}{during} are still here{age}"
        for (op, names, file, line, _), count in calls.most_common(3)
    ]
    return Provenance(operation, table or None, False, 0.99, tuple(sites), ("traced: " + "; ".join(said),))


def _age(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def operation_of_keys(graph: HeapGraph, content: np.ndarray) -> str | None:
    """The operation that most responses in ``content`` show by their keys."""
    found = recognise(graph)
    inside = (found.kinds == Kind.RESPONSE) & content[found.objects] & (found.operations > 0)
    if not inside.any():
        return None
    return KEY_OPERATIONS[int(np.bincount(found.operations[inside]).argmax())]


def calls_in(graph: HeapGraph, users: tuple[Function, ...]) -> tuple[list[str], list[str]]:
    """Operations that the functions call, and their places: their own calls, else their callees' or callers'."""
    circles: list[tuple[Function, ...]] = [users]
    for _ in range(2):
        wider = code.callees(graph, circles[-1]) if circles[-1] else ()
        circles.append(wider)
    circles.insert(2, code.callers(graph, users) if users else ())
    for circle in circles:
        counted: Counter[str] = Counter()
        sites = []
        for function in circle:
            own = _operations_of(function)
            counted.update(own)
            if own:
                sites.append(function.place)
        if counted:
            return [operation for operation, _ in counted.most_common()], sites
    return [], []


def _operations_of(function: Function) -> list[str]:
    paginated = "get_paginator" in function.names or "paginate" in function.names
    found = [OPERATIONS[name] for name in sorted(function.names & READ_METHODS)]
    if paginated:
        found += [OPERATIONS[each] for each in function.constants if each in OPERATIONS]
    return list(dict.fromkeys(found))


def calls_in_sources(sources: pd.DataFrame, users: tuple[Function, ...]) -> tuple[list[str], list[str]]:
    """The same from the program's source lines, for functions that the heap no longer holds."""
    calls = sources[sources["kind"] == "call"]
    files = {function.file for function in users}
    if files:
        calls = calls[calls["file"].isin(files)]
    counted: Counter[str] = Counter()
    sites = []
    for row in calls.itertuples():
        for pair in _CALL.findall(f"{row.text} {row.detail or ''}"):
            for name in pair:
                if name in READ_METHODS:
                    counted[OPERATIONS[name]] += 1
                    sites.append(f"{row.file}:{row.line} {row.scope}()")
    return [operation for operation, _ in counted.most_common()], list(dict.fromkeys(sites))


def _agree(keys: str | None, called: list[str]) -> tuple[str | None, list[str]]:
    """One operation out of what the keys and the calls say, and the reasons."""
    reasons = []
    if keys is not None:
        reasons.append(f"inferred from the keys of the retained responses: {keys}")
        options = re.split(r", | or ", keys)
        fitting = [operation for operation in called if operation in options]
        if fitting and len(options) > 1:
            reasons.append(f"inferred from the calls of the functions that use it: {fitting[0]}")
        return (fitting[0] if fitting else keys if len(options) == 1 else options[0]), reasons
    if called:
        reasons.append(f"inferred from the calls of the functions that use it: {', '.join(called)}")
        return called[0], reasons
    return None, reasons


def table_of(
    graph: HeapGraph, content: np.ndarray, users: tuple[Function, ...], sources: pd.DataFrame | None
) -> tuple[str | None, str]:
    """The table and what the answer rests on."""
    held = graph._once("forensics.dynamodb.tables", lambda: code.table_names(graph))
    circles = [users, code.callees(graph, users), code.callers(graph, users)] if users else []
    for circle in circles:
        for function in circle:
            for constant in function.constants:
                if constant in held:
                    return constant, f"table inferred from a constant of {function.place}"
    for circle in circles:
        for function in circle:
            if {"TableName", "Table"} & {*function.constants, *function.names}:
                candidates = [each for each in function.constants if _may_be_table(each)]
                if candidates and "TableName" in function.constants:
                    return candidates[0], f"table inferred from a constant of {function.place}"
    named = _tables_in_sources(sources, users)
    if named:
        best = next((name for name in named if name in held), named[0])
        return best, "table inferred from the program's source lines"
    if len(held) == 1:
        return next(iter(held)), "table inferred: the only one that this heap names"
    return None, ""


def _may_be_table(text: str) -> bool:
    return (
        bool(_TABLE_NAME.fullmatch(text))
        and text not in WORDS
        and text not in OPERATIONS
        and not text.startswith(("ALL_", "SPECIFIC_", "COUNT"))
        and text
        not in ("dynamodb", "TableName", "Select", "ScanIndexForward", "PaginationConfig", "PageSize")
    )


def _tables_in_sources(sources: pd.DataFrame | None, users: Iterable[Function]) -> list[str]:
    """Tables in the program's lines, those of the users' files first, most frequent first."""
    if sources is None or not len(sources):
        return []
    files = {function.file for function in users}
    near: Counter[str] = Counter()
    far: Counter[str] = Counter()
    constants: dict[str, str] = {}
    for row in sources.itertuples():
        text = str(row.text or "")
        assigned = re.match(r"""(\w+)\s*(?::[^=]+)?=\s*.*?["']([A-Za-z0-9_.-]{3,255})["']\)?\s*$""", text)
        if assigned and "TABLE" in assigned[1].upper():
            constants[assigned[1]] = assigned[2]
    for row in sources.itertuples():
        text = f"{row.text or ''} {row.detail or ''}"
        found = _TABLE_IN_CODE.findall(text) + _FROM_TABLE.findall(text)
        found += [
            constants[name]
            for name in re.findall(r"(?:TableName\s*=\s*|\.Table\(\s*)(\w+)", text)
            if name in constants
        ]
        (near if row.file in files else far).update(found)
    ranked = [name for name, _ in near.most_common()] + [name for name, _ in far.most_common()]
    return ranked or list(dict.fromkeys(constants.values()))
