"""Graphs drawn by hand: ``drawn("r->a a->b b->c", roots="r")`` makes a HeapGraph and tells which name is which id."""

from __future__ import annotations

import numpy as np

from forensics.heap import EdgeKind, HeapGraph


def from_edges(n, edges, roots, sizes=None, weak=(), **columns):
    """A graph of ``n`` objects; ``edges`` and ``weak`` are pairs, parallel ones kept."""
    every = sorted([(a, b, EdgeKind.INTERNAL) for a, b in edges] + [(a, b, EdgeKind.WEAK) for a, b in weak])
    offsets = np.zeros(n + 1, np.int64)
    for source, _, _ in every:
        offsets[source + 1] += 1
    return HeapGraph.from_arrays(
        offsets.cumsum(),
        [target for _, target, _ in every],
        [1] * n if sizes is None else sizes,
        roots,
        kinds=[int(kind) for _, _, kind in every],
        **columns,
    )


def drawn(picture, roots="r", sizes=None):
    """``a->b`` a reference, ``a~>b`` a weak one; returns the graph and ``{name: id}``; 1 byte each by default."""
    strong, weak = [], []
    names: dict[str, int] = {}

    def number(name):
        return names.setdefault(name, len(names))

    for name in roots.split():
        number(name)
    for arrow in picture.split():
        sign = "~>" if "~>" in arrow else "->"
        source, _, target = arrow.partition(sign)
        if not target:
            number(source)
            continue
        (weak if sign == "~>" else strong).append((number(source), number(target)))
    amounts = [(sizes or {}).get(name, 1) for name in names]
    graph = from_edges(len(names), strong, [names[name] for name in roots.split()], amounts, weak)
    return graph, names


def linked_list_with_tail_container(length):
    """A linked list whose payloads also hang on a container at its tail: 2 * length + 1 objects of one byte.

    node 0 -> node 1 -> … -> node length-1 -> container
      |         |                 |              | \\ …
    payload 0 payload 1         payload       all payloads
    """
    i = np.arange(length)
    offsets = np.concatenate([2 * np.arange(length + 1), np.full(length, 2 * length), [3 * length]])
    targets = np.empty(3 * length, np.int32)
    targets[0 : 2 * length : 2] = np.where(i + 1 < length, i + 1, 2 * length)
    targets[1 : 2 * length : 2] = length + i
    targets[2 * length :] = length + i
    return HeapGraph.from_arrays(offsets, targets, np.ones(2 * length + 1, np.int64), [0])
