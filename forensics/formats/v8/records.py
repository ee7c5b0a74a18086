"""Nodes and edges straight from a file's digits into columns, each number looked at once.

A snapshot of 480 MB has a hundred million numbers: what is decided about them is decided where they are read.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from forensics.heap.compiled import compiled, inlined

#: What can be wrong with a record.
FINE: Final = 0
NOT_A_NUMBER: Final = 1
OUT_OF_RANGE: Final = 2
NOWHERE: Final = 3
#: Roles of a node's fields, in the order in which limits are given, and of an edge's.
NODE_ROLES: Final = ("type", "name", "id", "self_size", "edge_count")
EDGE_ROLES: Final = ("type", "name_or_index", "to_node")
#: No whole number of a snapshot has more digits.
_DIGITS: Final = 18


@inlined
def next_number(data, at, end):
    """(number, offset after it), white space and commas before it left out; offset -1 where none stands there."""
    while at < end and (data[at] == 44 or data[at] <= 32):
        at += 1
    negative = at < end and data[at] == 45
    if negative:
        at += 1
    begin = at
    value = np.int64(0)
    while at < end and 48 <= data[at] <= 57:
        value = value * 10 + (data[at] - 48)
        at += 1
    if negative:
        value = -value
    return value, (at if 0 < at - begin <= _DIGITS else np.int64(-1))


@compiled
def skip_separators(data, at, end):
    """The offset of the next byte that is neither white space nor a comma."""
    while at < end and (
        data[at] == 44 or data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9
    ):
        at += 1
    return at


@compiled
def read_nodes(data, at, end, roles, limits, first, last, types, names, ids, sizes, counts):
    """Read nodes ``first`` to ``last`` into the columns; (offset, node, what is wrong).

    ``roles`` : int8[width], the role of each field, -1 where it has none. ``limits`` : int64[5], largest by role.
    """
    for i in range(first, last):
        for field in range(roles.size):
            value, after = next_number(data, at, end)
            if after < 0:
                return at, i, NOT_A_NUMBER
            at = after
            role = roles[field]
            if role < 0:
                continue
            if value < 0 or value > limits[role]:
                return at, i, OUT_OF_RANGE
            if role == 0:
                types[i] = value
            elif role == 1:
                names[i] = value
            elif role == 2:
                ids[i] = value
            elif role == 3:
                sizes[i] = value
            else:
                counts[i] = value
    return at, last, FINE


@compiled
def read_edges(data, at, end, roles, width, nodes, most, first, last, kinds, labels, targets):
    """The same for edges; ``width`` is that of a node, for ``to_node`` is an offset into the nodes' numbers."""
    for e in range(first, last):
        for field in range(roles.size):
            value, after = next_number(data, at, end)
            if after < 0:
                return at, e, NOT_A_NUMBER
            at = after
            role = roles[field]
            if role < 0:
                continue
            if value < 0:
                return at, e, OUT_OF_RANGE
            if role == 0:
                if value > 254:
                    return at, e, OUT_OF_RANGE
                kinds[e] = value
            elif role == 1:
                # An index may be any uint32; nothing is looked up by it.
                labels[e] = min(value, most)
            else:
                node = value // width
                if node * width != value or node >= nodes:
                    return at, e, NOWHERE
                targets[e] = node
    return at, last, FINE
