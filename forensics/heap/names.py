"""What functions, frames, tasks and threads of a captured process are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from forensics import arrow
from forensics.agent.stream import EdgeKind

if TYPE_CHECKING:
    from .graph import HeapGraph

_CODE_SLOTS = ("__code__", "gi_code", "cr_code", "ag_code", "f_code")
_TASK_NAMES = ("task_name", "_name", "name")


def function_name(graph: HeapGraph, i: int) -> str:
    """The name of a function, generator, coroutine or frame, without the functions around it.

    ``<lambda>`` alone says nothing: it is named with the function it was made in.
    """
    qualified = qualified_name(graph, i)
    around, _, own = qualified.rpartition("<locals>.")
    if own == "<lambda>" and around:
        return f"lambda in {around.removesuffix('.').rpartition('<locals>.')[2]}()"
    return own or graph.type_name(i)


def qualified_name(graph: HeapGraph, i: int) -> str:
    """``__qualname__`` by the code object, or by the name object where that was kept; empty if unknown."""
    row = code_row(graph, i)
    if row is not None and row["qualname"]:
        return str(row["qualname"])
    for slot in ("__qualname__", "__name__"):
        target = slot_target(graph, i, slot)
        text = graph.text(target) if target >= 0 else None
        if text:
            return text
    return ""


def code_row(graph: HeapGraph, i: int) -> dict[str, Any] | None:
    """The row of the table of code objects for a function, generator, coroutine, frame or code object."""
    for code in (i, *(slot_target(graph, i, slot) for slot in _CODE_SLOTS)):
        if code >= 0:
            row = _row(graph, "code", code)
            if row is not None:
                return row
    return None


def frame_row(graph: HeapGraph, i: int) -> dict[str, Any] | None:
    """The row of the table of running frames for object *i*."""
    return _row(graph, "frames", i)


def frame_name(graph: HeapGraph, i: int) -> str:
    """``Thread-3 · fetch_all()`` for a running frame, ``fetch_all()`` for any other."""
    row = frame_row(graph, i)
    if row is None:
        return f"{function_name(graph, i)}()"
    function = str(row["function"] or "?").rpartition("<locals>.")[2]
    return f"{row['thread_name'] or 'thread'} · {function}()"


def task_name(graph: HeapGraph, i: int) -> str:
    """``Task-12`` where the name was kept, else ``Task``."""
    for slot in _TASK_NAMES:
        target = slot_target(graph, i, slot)
        text = graph.text(target) if target >= 0 else None
        if text:
            return text
    return "Task"


def slot_target(graph: HeapGraph, i: int, name: str) -> int:
    """What slot ``name`` of object *i* refers to, -1 where it has none."""
    found: int = graph._once(f"slot {name}", lambda: _targets_of_slot(graph, name)).get(i, -1)
    return found


def _targets_of_slot(graph: HeapGraph, name: str) -> dict[int, int]:
    """Object -> the first that its slot ``name`` refers to; one look at the whole graph instead of one for each."""
    wanted = graph.slot_labels().get(name)
    if wanted is None:
        return {}
    references = np.flatnonzero((graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, wanted))[::-1]
    sources = graph.sources_of(references).tolist()
    return dict(zip(sources, graph.targets[references].tolist(), strict=True))


def _row(graph: HeapGraph, table: str, i: int) -> dict[str, Any] | None:
    objects, order = graph._once(f"rows of {table}", lambda: _index(getattr(graph, table)))
    at = int(np.searchsorted(objects, i))
    if at == len(objects) or objects[at] != i:
        return None
    found: dict[str, Any] = getattr(graph, table).slice(int(order[at]), 1).to_pylist()[0]
    return found


def _index(table: Any) -> tuple[np.ndarray, np.ndarray]:
    objects = arrow.numbers(table.column("object"))
    order = np.argsort(objects, kind="stable")
    return objects[order], order
