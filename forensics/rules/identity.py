"""Whether what two snapshots show at one address is one object that grew, or another one in its place."""

from __future__ import annotations

import numpy as np

from forensics.dynamodb.arrays import spans
from forensics.heap.graph import HeapGraph

#: From a list of items to the values of their attributes, from a response to its request's id.
DEPTH = 3
#: Of what it held, so much must be there still: something that grows may change a field of its own meanwhile.
STILL = 0.9


def the_same(earlier: HeapGraph, before: np.ndarray, last: HeapGraph, now: np.ndarray) -> bool:
    """Whether ``now`` are the objects ``before``: at the same addresses, and they hold still what they held.

    Addresses are reused at once (CPython keeps freed dicts and lists for the next ones), so that values decide: those
    within ``DEPTH`` references, by their keyed hashes. Two responses differ at least in their requests' ids.
    """
    if not len(before) or set(earlier.addresses[before].tolist()) != set(last.addresses[now].tolist()):
        return False
    held = _values_below(earlier, before)
    return not len(held) or float(np.isin(held, _values_below(last, now)).mean()) >= STILL


def _values_below(graph: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """uint64[…]: the hashes of the values at most ``DEPTH`` references below ``objects``, without doubles."""
    found = [np.zeros(0, np.uint64)]
    level = np.unique(objects).astype(np.int64)
    for _ in range(DEPTH):
        level = np.unique(graph.targets[spans(graph, level)]).astype(np.int64)
        found.append(graph.value_hashes[level])
    values = np.unique(np.concatenate(found))
    return values[values != 0]
