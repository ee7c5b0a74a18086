"""HeapGraph: one snapshot of a heap as plain arrays, the same model for every runtime that has objects.

Objects are numbered 0…n-1 in the order of the arrays; ``targets[offsets[i]:offsets[i + 1]]`` are the objects
that object *i* refers to (compressed sparse rows).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from forensics.agent.stream import EdgeKind, ObjectFlag, RootKind

__all__ = ["EdgeKind", "HeapGraph", "ObjectFlag", "RootKind"]


@dataclass(frozen=True, eq=False)
class HeapGraph:
    """An object graph; arrays may be read-only views of a memory map.

    Attributes
    ----------
    offsets : int64[n + 1]
    targets : int32[m]
    shallow_sizes : int64[n], bytes
    root_objects : int32[k]
    kinds : uint8[m], ``EdgeKind``; a WEAK edge holds nothing
    labels : int32[m]; by kind an index into ``strings`` (ATTRIBUTE, LOCAL, CLOSURE, SLOT, INTERNAL; -1 nameless),
        the **object** that is the key (KEY), or a position (ITEM, MEMBER, CODE_CONSTANT)
    addresses : uint64[n]; in V8 the object's id
    types : int32[n], index into ``type_names``
    flags : uint16[n], ``ObjectFlag``
    lengths, capacities : int64[n], int32[n]: elements (or characters) in use and allocated
    texts : int32[n], index into ``strings`` of the value where it was kept, -1 where it was masked or has none
    value_hashes : uint64[n], keyed hash of the value (equality within one capture); 0: no value
    value_classes : uint16[n], character classes of a masked value, see ``forensics.capture.masking``
    type_names, strings : pyarrow string arrays
    root_kinds, root_names : uint8[k], int32[k] (index into ``strings``)
    frames, code : pyarrow tables (object, thread_id, thread_name, depth, function, file, line) and
        (object, qualname, file, first_line)
    meta : runtime, version, pid, time of the snapshot, values (masked, full, none), memory_limit
    """

    offsets: np.ndarray
    targets: np.ndarray
    shallow_sizes: np.ndarray
    root_objects: np.ndarray
    kinds: np.ndarray
    labels: np.ndarray
    addresses: np.ndarray
    types: np.ndarray
    flags: np.ndarray
    lengths: np.ndarray
    capacities: np.ndarray
    texts: np.ndarray
    value_hashes: np.ndarray
    value_classes: np.ndarray
    type_names: pa.Array
    strings: pa.Array
    root_kinds: np.ndarray
    root_names: np.ndarray
    frames: pa.Table
    code: pa.Table
    meta: Mapping[str, Any] = field(default_factory=dict)
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)
