"""What arrays must be to make a graph; each refusal names the value, its place, and what would be right.

The compiled loops do not check bounds: nothing gets past here that they could run away with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.agent.stream import EdgeKind
from forensics.errors import GraphError

if TYPE_CHECKING:
    from .graph import HeapGraph

_KEY, _ATTRIBUTE, _LOCAL = int(EdgeKind.KEY), int(EdgeKind.ATTRIBUTE), int(EdgeKind.LOCAL)
_CLOSURE, _SLOT, _INTERNAL = int(EdgeKind.CLOSURE), int(EdgeKind.SLOT), int(EdgeKind.INTERNAL)
_LAST_KIND = int(max(EdgeKind))
#: Entries looked at together: what is made of them stays in the processor's cache.
_SLICE = 1 << 16


def integers(name: str, values: Any, dtype: type[np.integer[Any]]) -> np.ndarray:
    """``values`` as a one-dimensional array of ``dtype``; a view where they are that already.

    Raises
    ------
    GraphError : not one-dimensional, not whole numbers, or a number that ``dtype`` cannot hold.
    """
    array = np.asarray(values)
    if array.ndim != 1:
        raise GraphError(
            f"{name} must be one-dimensional; it has the shape {array.shape}.",
            advice=f"Give {name} as a flat {np.dtype(dtype).name} array.",
            name=name,
            shape=array.shape,
        )
    if array.dtype == dtype:
        return array
    if not array.size:
        return np.empty(0, dtype)
    if array.dtype.kind not in "iub":
        raise GraphError(
            f"{name} must hold whole numbers; its dtype is {array.dtype}.",
            advice=f"Convert it to {np.dtype(dtype).name} first.",
            name=name,
            dtype=str(array.dtype),
        )
    limits = np.iinfo(dtype)
    low, high = int(array.min()), int(array.max())
    if low < limits.min or high > limits.max:
        value = low if low < limits.min else high
        raise GraphError(
            f"{name} holds {value}; {np.dtype(dtype).name} holds {limits.min} … {limits.max}.",
            advice="A graph has at most 2,147,483,647 objects.",
            name=name,
            value=value,
        )
    return array.astype(dtype)


def texts(name: str, values: Sequence[str] | pa.Array | pa.ChunkedArray) -> pa.Array:
    """``values`` as one pyarrow array of large strings.

    Raises
    ------
    GraphError : something in there is not text.
    """
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if isinstance(values, pa.Array):
        return values if values.type == pa.large_string() else values.cast(pa.large_string())
    try:
        return arrow.column(list(values), pa.large_string())
    except (AttributeError, TypeError, UnicodeError) as error:
        raise GraphError(f"{name} must hold texts only: {error}.", name=name) from error


def check(graph: HeapGraph) -> None:
    """Raise a GraphError unless the arrays of ``graph`` fit together.

    What was looked at is let go of: of mapped files no more than one column is in memory at a time.
    """
    n, m = len(graph.shallow_sizes), len(graph.targets)
    _check_offsets(graph.offsets, n, m)
    for name, array, length, per in (
        ("kinds", graph.kinds, m, "reference"),
        ("labels", graph.labels, m, "reference"),
        ("addresses", graph.addresses, n, "object"),
        ("types", graph.types, n, "object"),
        ("flags", graph.flags, n, "object"),
        ("lengths", graph.lengths, n, "object"),
        ("capacities", graph.capacities, n, "object"),
        ("texts", graph.texts, n, "object"),
        ("value_hashes", graph.value_hashes, n, "object"),
        ("value_classes", graph.value_classes, n, "object"),
        ("root_kinds", graph.root_kinds, len(graph.root_objects), "root"),
        ("root_names", graph.root_names, len(graph.root_objects), "root"),
    ):
        if len(array) != length:
            raise GraphError(
                f"{name} has {len(array):,} entries; there must be one for each {per}, {length:,}.",
                advice="The arrays belong to different graphs, or one was cut short.",
                name=name,
                found=len(array),
                expected=length,
            )
    for name, array, low, end, meaning in (
        ("targets", graph.targets, 0, n, "an object of this graph"),
        ("roots", graph.root_objects, 0, n, "an object of this graph"),
        ("types", graph.types, 0, len(graph.type_names), "an entry of type_names"),
        ("texts", graph.texts, -1, len(graph.strings), "an entry of strings, or -1"),
        ("root_names", graph.root_names, -1, len(graph.strings), "an entry of strings, or -1"),
        ("kinds", graph.kinds, 0, _LAST_KIND + 1, "an EdgeKind"),
    ):
        graph.release_pages()
        _in_range(name, array, low, end, meaning)
    for name, array, unit in (
        ("sizes", graph.shallow_sizes, "bytes"),
        ("lengths", graph.lengths, "elements"),
    ):
        graph.release_pages()
        _not_negative(name, array, unit)
    graph.release_pages()
    _check_labels(graph, n)
    graph.release_pages()
    if n and not len(graph.root_objects):
        raise GraphError(
            f"The graph has {n:,} objects and no root: nothing would be alive.",
            advice="Give at least one root, the index of an object that lives by itself.",
            objects=n,
        )
    for name, table in (("frames", graph.frames), ("code", graph.code)):
        _in_range(f"{name}.object", arrow.numbers(table.column("object")), 0, n, "an object of this graph")
    unused = arrow.numbers(graph.unused.column("reference"))
    _in_range("unused.reference", unused, 0, m, "a reference of this graph")
    wrong = np.flatnonzero((graph.kinds[unused] != _CLOSURE) | (np.diff(unused, prepend=-1) <= 0))
    if len(wrong):
        raise GraphError(
            f"unused.reference[{int(wrong[0]):,}] is {int(unused[wrong[0]]):,}, which is no captured variable, or does "
            "not come after the one before it.",
            name="unused",
            index=int(wrong[0]),
        )


def object_id(graph: HeapGraph, value: Any) -> int:
    """``value`` as the index of an object.

    Raises
    ------
    GraphError : there is no such object.
    """
    try:
        found = value.__index__()
    except (AttributeError, TypeError):
        raise GraphError(
            f"{value!r} is not the id of an object.",
            advice=f"Ids are whole numbers from 0 to {len(graph) - 1:,}.",
            value=value,
        ) from None
    if not 0 <= found < len(graph):
        raise GraphError(
            f"There is no object {found:,}: the graph has {len(graph):,} objects.",
            advice=f"Ids are whole numbers from 0 to {len(graph) - 1:,}." if len(graph) else None,
            value=found,
        )
    return int(found)


def object_ids(graph: HeapGraph, values: Any) -> np.ndarray:
    """``values`` as int32 indices of objects, one or many; raises GraphError where one is not there."""
    if isinstance(values, int | np.integer):
        values = [values]
    if not isinstance(values, np.ndarray):
        values = list(values)
    ids = integers("ids", values, np.int64)
    if ids.size:
        low, high = int(ids.min()), int(ids.max())
        object_id(graph, low)
        object_id(graph, high)
    return ids.astype(np.int32)


def _check_offsets(offsets: np.ndarray, n: int, m: int) -> None:
    if len(offsets) != n + 1:
        raise GraphError(
            f"offsets has {len(offsets):,} entries; {n:,} sizes need {n + 1:,} of them.",
            advice="Object i refers to targets[offsets[i]:offsets[i + 1]]; the last one ends the last object.",
            name="offsets",
            found=len(offsets),
            expected=n + 1,
        )
    if offsets[0] != 0 or offsets[-1] != m:
        raise GraphError(
            f"offsets runs from {offsets[0]:,} to {offsets[-1]:,}; it must run from 0 to {m:,}, as many "
            "as there are targets.",
            advice="The arrays belong to different graphs, or one was cut short.",
            name="offsets",
            found=(int(offsets[0]), int(offsets[-1])),
            expected=(0, m),
        )
    falling = _first_fall(offsets)
    if falling >= 0:
        raise GraphError(
            f"offsets falls from {offsets[falling]:,} to {offsets[falling + 1]:,} at object {falling:,}.",
            advice="Each offset must be at least as large as the one before it.",
            name="offsets",
            index=int(falling),
        )


def _in_range(name: str, array: np.ndarray, low: int, end: int, meaning: str) -> None:
    if not array.size or (array.min() >= low and array.max() < end):
        return
    index = int(np.argmin(array)) if array.min() < low else int(np.argmax(array))
    raise GraphError(
        f"{name}[{index:,}] is {int(array[index]):,}, which is not {meaning}: {low} … {end - 1:,} would be.",
        advice="The arrays belong to different graphs, or one is damaged.",
        name=name,
        index=index,
        value=int(array[index]),
    )


def _not_negative(name: str, array: np.ndarray, unit: str) -> None:
    if array.size and array.min() < 0:
        index = int(np.argmin(array))
        raise GraphError(
            f"{name}[{index:,}] is {int(array[index]):,} {unit}; it must be 0 or more.",
            name=name,
            index=index,
            value=int(array[index]),
        )


def _check_labels(graph: HeapGraph, n: int) -> None:
    if not graph.labels.size or (graph.labels.strides[0] == 0 and graph.labels[0] == -1):
        return
    bad = _first_bad_label(graph.kinds, graph.labels, n, len(graph.strings))
    if bad >= 0:
        kind = EdgeKind(int(graph.kinds[bad]))
        right = n if kind == EdgeKind.KEY else len(graph.strings)
        meaning = "an object (the key)" if kind == EdgeKind.KEY else "an entry of strings"
        raise GraphError(
            f"labels[{bad:,}] is {int(graph.labels[bad]):,}; for {kind.name} it must be {meaning}: "
            f"-1 … {right - 1:,}.",
            name="labels",
            index=int(bad),
            value=int(graph.labels[bad]),
        )


# Not compiled: waking numba up takes longer than all of this does for ten million objects.


def _first_fall(offsets: np.ndarray) -> int:
    """The first place after which an offset is smaller, -1 where there is none."""
    for begin in range(0, len(offsets) - 1, _SLICE):
        part = offsets[begin : begin + _SLICE + 1]
        falls = part[1:] < part[:-1]
        if falls.any():
            return begin + int(np.argmax(falls))
    return -1


def _first_bad_label(kinds: np.ndarray, labels: np.ndarray, n_objects: int, n_strings: int) -> int:
    """The first label that is beyond what its kind allows, -1 where there is none."""
    ends = np.full(256, 1 << 31, np.uint32)
    ends[_KEY] = n_objects
    ends[[_ATTRIBUTE, _LOCAL, _CLOSURE, _SLOT, _INTERNAL]] = n_strings
    for begin in range(0, len(labels), _SLICE):
        # One more than the label: -1 becomes 0, what is less becomes more than any end.
        raised = labels[begin : begin + _SLICE].view(np.uint32) + np.uint32(1)
        high = np.flatnonzero(
            raised > min(n_objects, n_strings)
        )  # most are not: only these depend on the kind
        bad = high[raised[high] > ends[kinds[begin + high]]]
        if len(bad):
            return begin + int(bad[0])
    return -1
