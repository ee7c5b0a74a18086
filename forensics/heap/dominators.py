"""Immediate dominators of an object graph, and the bytes each object retains.

Lengauer and Tarjan, "A Fast Algorithm for Finding Dominators in a Flowgraph", ACM TOPLAS 1(1), 1979, with
path compression (their "simple" LINK and EVAL): O(m log n) for any graph. Semi-NCA would be a little faster
on random graphs and is quadratic on a linked list whose payloads also hang on a container at its tail, a graph
that services do build (an LRU order beside the table of its entries).

Everything runs on depth-first numbers: 0 is the virtual root that refers to every root, 1…c are the reachable
objects in the order of discovery. Nothing recurses.
"""

from __future__ import annotations

import numpy as np

from forensics.agent.stream import EdgeKind

from .compiled import compiled

_WEAK = int(EdgeKind.WEAK)

VIRTUAL_ROOT = -1
UNREACHABLE = -2


def dominators(
    offsets: np.ndarray, targets: np.ndarray, kinds: np.ndarray, roots: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Immediate dominators, and the objects in an order that has every dominator before what it dominates.

    Parameters
    ----------
    offsets, targets : int64[n + 1], int32[m]
    kinds : uint8[m], or empty where no reference is weak
    roots : int32[k]

    Returns
    -------
    int32[n] : -1 dominated by the virtual root alone, -2 unreachable
    int32[c] : the reachable objects in depth-first order
    """
    number, vertex, parent = _number(offsets, targets, kinds, roots)
    starts, predecessors = _predecessors(offsets, targets, kinds, number, vertex)
    # From here on the depth-first number of an object is needed no more: its array serves as a stack.
    dominator = _link_and_evaluate(starts, predecessors, parent, _is_root(roots, number, vertex.size), number)
    del starts, predecessors, parent, number
    return _by_object(dominator, vertex, offsets.size - 1), vertex[1:]


@compiled
def _number(offsets, targets, kinds, roots):
    """Depth-first numbers: int32[n + 1] by object (0: not reached); int32[c + 1] objects, parents by number."""
    n = offsets.size - 1
    number = np.zeros(n + 1, np.int32)
    vertex = np.empty(n + 1, np.int32)
    parent = np.zeros(n + 1, np.int32)
    cursor = np.empty(n + 1, np.int64)  # by number: the next reference to follow
    vertex[0] = -1
    count = 0
    for root in roots:
        if number[root]:
            continue
        count += 1
        number[root] = count
        vertex[count] = root
        cursor[count] = offsets[root]
        at = count
        while at:
            source = vertex[at]
            end = offsets[source + 1]
            e = cursor[at]
            child = np.int32(-1)
            while e < end:
                target = targets[e]
                if number[target] == 0 and not (kinds.size and kinds[e] == _WEAK):
                    child = target
                    e += 1
                    break
                e += 1
            cursor[at] = e
            if child < 0:
                at = parent[at]
            else:
                count += 1
                number[child] = count
                vertex[count] = child
                parent[count] = at
                cursor[count] = offsets[child]
                at = count
    return number, vertex[: count + 1], parent[: count + 1]


@compiled
def _predecessors(offsets, targets, kinds, number, vertex):
    """References between reachable objects, by target: int64[c + 2] and int32, all in depth-first numbers."""
    count = vertex.size - 1
    starts = np.zeros(count + 3, np.int64)
    for w in range(1, count + 1):
        source = vertex[w]
        for e in range(offsets[source], offsets[source + 1]):
            if not (kinds.size and kinds[e] == _WEAK):
                starts[number[targets[e]] + 2] += 1
    for w in range(count + 1):
        starts[w + 2] += starts[w + 1]
    predecessors = np.empty(starts[count + 2], np.int32)
    for w in range(1, count + 1):
        source = vertex[w]
        for e in range(offsets[source], offsets[source + 1]):
            if not (kinds.size and kinds[e] == _WEAK):
                v = number[targets[e]] + 1
                predecessors[starts[v]] = w
                starts[v] += 1
    return starts, predecessors


@compiled
def _is_root(roots, number, size):
    """bool[c + 1] by number."""
    marked = np.zeros(size, np.bool_)
    for root in roots:
        marked[number[root]] = True
    return marked


@compiled
def _compress(v, linked, ancestor, label, semi, stack):
    """EVAL: the number of least semidominator on the forest path above *v*.

    Numbers from ``linked`` on are linked.
    """
    top = 0
    y = v
    while ancestor[y] >= linked:
        stack[top] = y
        top += 1
        y = ancestor[y]
    # y hangs directly below its tree's root: its label is right already.
    while top:
        top -= 1
        z = stack[top]
        if semi[label[y]] < semi[label[z]]:
            label[z] = label[y]
        ancestor[z] = ancestor[y]
        y = z
    return label[v]


@compiled
def _link_and_evaluate(starts, predecessors, parent, is_root, stack):
    """int32[c + 1]: the number of each number's immediate dominator.

    ``parent`` turns into the forest's ancestors as numbers get linked: only numbers above the one at work are
    compressed, so a parent is still in place when its child is looked at. ``stack`` is scratch of c + 1.
    """
    size = parent.size
    semi = np.empty(size, np.int32)
    label = np.empty(size, np.int32)
    for w in range(size):
        semi[w] = w
        label[w] = w
    dominator = np.zeros(size, np.int32)  # until known: the next of the same bucket
    bucket = np.zeros(size, np.int32)  # the first number whose semidominator this is; 0: none
    for w in range(size - 1, 0, -1):
        above = parent[w]
        least = np.int32(0) if is_root[w] else above
        if least:
            for k in range(starts[w], starts[w + 1]):
                v = predecessors[k]
                if v > w:
                    v = semi[_compress(v, w + 1, parent, label, semi, stack)]
                least = min(least, v)
        semi[w] = least
        dominator[w] = bucket[least]
        bucket[least] = w
        # LINK(above, w) is implied: from now on w counts as linked.
        v = bucket[above]
        bucket[above] = 0
        while v:
            following = dominator[v]
            u = _compress(v, w, parent, label, semi, stack)
            dominator[v] = u if semi[u] < semi[v] else above
            v = following
    for w in range(1, size):
        if dominator[w] != semi[w]:
            dominator[w] = dominator[dominator[w]]
    return dominator


@compiled
def _by_object(dominator, vertex, n):
    found = np.full(n, UNREACHABLE, np.int32)
    for w in range(1, vertex.size):
        found[vertex[w]] = vertex[dominator[w]]  # vertex[0] is -1, the virtual root
    return found


@compiled
def sum_up_tree(order, dominator, values):
    """int64[n]: by object the sum of ``values`` over all it dominates, itself included; 0 where unreachable.

    ``order`` has every dominator before what it dominates.
    """
    sums = np.zeros(dominator.size, np.int64)
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        sums[i] += values[i]
        above = dominator[i]
        if above >= 0:
            sums[above] += sums[i]
    return sums


@compiled
def tree_children(order, dominator):
    """int64[n + 2], int32[c]: what each object immediately dominates; row n belongs to the virtual root."""
    n = dominator.size
    starts = np.zeros(n + 3, np.int64)
    for i in order:
        above = dominator[i]
        starts[(above if above >= 0 else n) + 2] += 1
    for i in range(n + 1):
        starts[i + 2] += starts[i + 1]
    children = np.empty(order.size, np.int32)
    for i in order:
        above = dominator[i]
        row = (above if above >= 0 else n) + 1
        children[starts[row]] = i
        starts[row] += 1
    return starts[: n + 2].copy(), children
