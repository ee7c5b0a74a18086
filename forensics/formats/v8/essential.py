"""Which edges of a V8 snapshot hold their target, by DevTools' rules.

Source: ``computeIsEssentialEdge`` and ``markPageOwnedNodes`` in front_end/entrypoints/heap_snapshot_worker/
HeapSnapshot.ts of ChromeDevTools/devtools-frontend. An edge does not hold if it is weak, leads back to its own
node, is a shortcut that does not start at the root, is the table's side of an entry of a WeakMap (the key's side
holds the value), or leads from what is not the page's (the debugger, handles) to what is.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow.compute as pc

from forensics import arrow
from forensics.formats.v8.raw import RawHeap
from forensics.heap.compiled import compiled, frozen

_PAIR = re.compile(r"^\d+ / part of key \(.*? @\d+\) -> value \(.*? @\d+\) pair in WeakMap \(table @(\d+)\)$")
_SIGN = " pair in WeakMap (table @"
_DOCUMENTS = "(Document DOM trees)"


def holding(raw: RawHeap) -> np.ndarray:
    """bool[m]: the edges that count for dominators and retained sizes."""
    root_edges = slice(0, int(raw.offsets[1]))
    shortcut = raw.edge_kinds[root_edges] == raw.edge_type("shortcut")
    named = raw.names[raw.targets[root_edges]] == arrow.index(raw.strings, _DOCUMENTS)
    dom = (raw.edge_kinds[root_edges] == raw.edge_type("element")) & named
    entries = np.unique(raw.targets[root_edges][shortcut | dom])
    weak, shortcuts = raw.edge_type("weak"), raw.edge_type("shortcut")
    arrays = tuple(map(frozen, (raw.offsets, raw.targets, raw.edge_kinds)))
    page = _reach(*arrays, frozen(entries), weak)
    found = _holding(*arrays, frozen(page), weak, shortcuts)
    return _without_tables(raw, found)


def _without_tables(raw: RawHeap, found: np.ndarray) -> np.ndarray:
    """Entries of WeakMaps without the table's side."""
    suspicious = arrow.truths(pc.match_substring(raw.strings, _SIGN))
    numbers = np.flatnonzero(suspicious)
    if not len(numbers):
        return found
    table_of = np.zeros(len(raw.strings), np.uint64)
    for number in numbers.tolist():
        match = _PAIR.match(raw.strings[number].as_py())
        if match is not None:
            table_of[number] = min(int(match[1]), (1 << 63) - 1)
    arrays = tuple(map(frozen, (raw.offsets, raw.edge_kinds, raw.labels, raw.ids, table_of)))
    _cut_tables(*arrays, raw.edge_type("internal"), found)
    return found


def roots(raw: RawHeap, holds: np.ndarray) -> np.ndarray:
    """int32[k]: the root and, after it, what no edge that holds leads to from it.

    DevTools hangs such orphans from the root: first those that nothing holds, then what is still missing.
    """
    arrays = frozen(raw.offsets), frozen(raw.targets), frozen(holds)
    return _orphans(*arrays)


@compiled
def _reach(offsets, targets, kinds, entries, weak):
    n = offsets.size - 1
    seen = np.zeros(n, np.bool_)
    queue = np.empty(n, np.int32)
    head, tail = 0, 0
    for i in entries:
        if not seen[i]:
            seen[i] = True
            queue[tail] = i
            tail += 1
    while head < tail:
        i = queue[head]
        head += 1
        for e in range(offsets[i], offsets[i + 1]):
            t = targets[e]
            if not seen[t] and kinds[e] != weak:
                seen[t] = True
                queue[tail] = t
                tail += 1
    return seen


@compiled
def _holding(offsets, targets, kinds, page, weak, shortcut):
    found = np.ones(targets.size, np.bool_)
    for i in range(offsets.size - 1):
        for e in range(offsets[i], offsets[i + 1]):
            t = targets[e]
            foreign = i != 0 and (kinds[e] == shortcut or (page[t] and not page[i]))
            if foreign or kinds[e] == weak or t == i:
                found[e] = False
    return found


@compiled
def _cut_tables(offsets, kinds, labels, ids, table_of, internal, found):
    """Unmarks in ``found`` the internal edges whose label names their own source as the table."""
    for i in range(offsets.size - 1):
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] == internal and table_of[labels[e]] > 0 and table_of[labels[e]] == ids[i]:
                found[e] = False


@compiled
def _orphans(offsets, targets, holds):
    n = offsets.size - 1
    seen = np.zeros(n, np.bool_)
    held = np.zeros(n, np.bool_)
    for e in range(targets.size):
        if holds[e]:
            held[targets[e]] = True
    stack = np.empty(n, np.int32)
    found = np.empty(n, np.int32)
    count = 0
    for turn in range(3):
        for start in range(n):
            if seen[start] or (turn == 0 and start > 0) or (turn == 1 and held[start]):
                continue
            found[count] = start
            count += 1
            seen[start] = True
            stack[0] = start
            top = 1
            while top:
                top -= 1
                i = stack[top]
                for e in range(offsets[i], offsets[i + 1]):
                    t = targets[e]
                    if holds[e] and not seen[t]:
                        seen[t] = True
                        stack[top] = t
                        top += 1
        if turn == 0 and count == 0:
            break
    return found[:count].copy()
