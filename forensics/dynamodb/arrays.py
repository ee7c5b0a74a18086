"""Whole-array steps over the references and the texts of a graph, as recognisers need them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.agent.stream import EdgeKind
from forensics.heap.graph import HeapGraph


def positions_in(words: Sequence[str], strings: pa.Array) -> np.ndarray:
    """int8[max(1, strings)]: the position of each text in ``words``, -1 for all others."""
    position = pc.index_in(strings, value_set=pa.array(words, strings.type))
    return at_least_one(pc.fill_null(position, -1).to_numpy(zero_copy_only=False), np.int8, -1)


def canonical(strings: pa.Array) -> np.ndarray:
    """int32[max(1, strings)]: the first index that bears the same text."""
    if not len(strings):
        return np.zeros(1, np.int32)
    encoded = strings.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    first = np.full(codes.max(initial=0) + 1, len(codes), np.int64)
    np.minimum.at(first, codes, np.arange(len(codes)))
    return first[codes].astype(np.int32)


def at_least_one(values: np.ndarray, dtype: Any, fill: int = 0) -> np.ndarray:
    """``values`` as ``dtype`` (a copy); one ``fill`` where there are none, so that index 0 is always there."""
    return values.astype(dtype) if len(values) else np.full(1, fill, dtype)


def spans(graph: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """int64[…]: the indices of all references of ``objects``, in order."""
    starts = graph.offsets[objects]
    counts = graph.offsets[objects + 1] - starts
    if not counts.sum():
        return np.zeros(0, np.int64)
    begins = np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    return begins + np.arange(counts.sum())


def targets(graph: HeapGraph, objects: np.ndarray, kind: EdgeKind) -> np.ndarray:
    """int32[…]: what ``objects`` refer to by references of one kind."""
    edges = spans(graph, objects.astype(np.int64))
    return graph.targets[edges[graph.kinds[edges] == kind]]


def labels(graph: HeapGraph, objects: np.ndarray, kind: EdgeKind) -> np.ndarray:
    """int32[…]: the labels of the references of one kind of ``objects``, in the order of ``targets``."""
    edges = spans(graph, objects.astype(np.int64))
    return graph.labels[edges[graph.kinds[edges] == kind]]
