"""Nodes and edges: rows of numbers as a snapshot has them, put into columns, and what is decided about each there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forensics.heap.compiled import compiled

if TYPE_CHECKING:
    from forensics.formats.v8.sections import Sections

#: What can be wrong with a record.
FINE: Final = 0
OUT_OF_RANGE: Final = 1
NOWHERE: Final = 2
#: The fields that are read, in the order in which their places in a row are given.
NODE_FIELDS: Final = ("type", "name", "id", "self_size", "edge_count")
EDGE_FIELDS: Final = ("type", "name_or_index", "to_node")
#: The last byte stands for a type that a file does not know.
_MOST_TYPES: Final = 254
#: Records with more fields than these are no snapshot's.
MOST_FIELDS: Final = 64


def whole(sections: Sections, name: str, fields: Any, wanted: tuple[str, ...]) -> np.ndarray | None:
    """int64[k, len(wanted)]: these fields of a section that may be missing; None where it, or one of them, is.

    Parameters
    ----------
    fields : what the file says of the section's records

    Raises
    ------
    FormatError : the section is not one of whole records.
    """
    if not isinstance(fields, list) or len(fields) > MOST_FIELDS or not set(wanted) <= set(map(str, fields)):
        return None
    if name not in sections:
        return None
    order = [fields.index(field) for field in wanted]
    slices = [rows[:, order].copy() for _, rows in sections.records(name, len(fields), None)]
    return np.concatenate(slices) if slices else np.empty((0, len(wanted)), np.int64)


@compiled
def keep_nodes(rows, places, limits, first, types, names, ids, sizes, counts):
    """(row, what is wrong with it): the rows become the nodes from number ``first`` on.

    Parameters
    ----------
    rows : int64[k, fields of a node]
    places : int64[5], where ``NODE_FIELDS`` stand in a row; limits : int64[5], the largest number of each
    """
    for k in range(rows.shape[0]):
        for field in range(places.size):
            number = rows[k, places[field]]
            if number < 0 or number > limits[field]:
                return k, OUT_OF_RANGE
        types[first + k] = rows[k, places[0]]
        names[first + k] = rows[k, places[1]]
        ids[first + k] = rows[k, places[2]]
        sizes[first + k] = rows[k, places[3]]
        counts[first + k] = rows[k, places[4]]
    return rows.shape[0], FINE


@compiled
def keep_edges(rows, places, width, nodes, most, first, kinds, labels, targets):
    """The same for edges; ``width`` is that of a node, for ``to_node`` is an offset into the nodes' numbers."""
    for k in range(rows.shape[0]):
        kind, label, offset = rows[k, places[0]], rows[k, places[1]], rows[k, places[2]]
        if kind < 0 or kind > _MOST_TYPES or label < 0 or offset < 0:
            return k, OUT_OF_RANGE
        node = offset // width
        if node * width != offset or node >= nodes:
            return k, NOWHERE
        kinds[first + k] = kind
        # An index may be any uint32; nothing is looked up by it.
        labels[first + k] = min(label, most)
        targets[first + k] = node
    return rows.shape[0], FINE
