"""What bounds a container: its type, or the program's own lines."""

from __future__ import annotations

import re

from forensics.dynamodb import places
from forensics.dynamodb.ownership import ownership
from forensics.heap.graph import HeapGraph

_BOUNDED_TYPES = re.compile(r"cachetools\.\w*Cache$|\w*(LRU|TTL|LFU)Cache$|functools\._lru_list_elem$")


def bound_by_type(graph: HeapGraph, container: int) -> str:
    """What bounds the container, if its type shows it: cachetools' caches, ``lru_cache`` with a maximum."""
    if container < 0:
        return ""
    chain = [container, *ownership(graph).ancestors(container)[1:3]]
    for each in chain:
        name = graph.type_name(each)
        if _BOUNDED_TYPES.search(name):
            return f"{name} has a maximum size"
        if name == "functools._lru_cache_wrapper":
            # With a maximum the wrapper refers to its results itself, and its dict to links between them.
            below = graph.targets[graph.offsets[container] : graph.offsets[container + 1]].tolist()
            if each == container or any(graph.type_name(i) == "functools._lru_list_elem" for i in below):
                return "lru_cache with a maximum size"
    return ""


def bound_in_program(clearing: tuple[places.Line, ...]) -> str:
    """What bounds it by the program's own lines: ``while len(x) > limit: x.popitem()``."""
    for line in clearing:
        if line.bounds:
            return f"emptied when it is too large at {line}"
    return ""
