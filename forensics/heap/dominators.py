"""Immediate dominators of an object graph, and the bytes each object retains.

Semidominators and path compression are those of Lengauer and Tarjan, "A Fast Algorithm for Finding Dominators in a
Flowgraph", ACM TOPLAS 1(1), 1979. From the semidominators the immediate dominators are found as nearest common
ancestors (Semi-NCA: L. Georgiadis, "Linear-Time Algorithms for Dominators and Related Problems", Princeton 2005),
which is the fastest on most graphs and quadratic on some that services do build: a linked list whose payloads also
hang on a container at its tail, as an LRU order beside the table of its entries. So its steps are counted, and
where they come to more than a few for each object Lengauer and Tarjan's own way (the "simple" LINK and EVAL) takes
over: O(m log n) for any graph.

Everything runs on depth-first numbers: 0 is the virtual root that refers to every root, 1…c are the reachable
objects in the order of discovery. Nothing recurses.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from forensics.agent.stream import EdgeKind

from .compiled import compiled
from .prefetch import prefetch

_WEAK = int(EdgeKind.WEAK)

VIRTUAL_ROOT = -1
UNREACHABLE = -2


def dominators(
    offsets: np.ndarray,
    targets: np.ndarray,
    kinds: np.ndarray,
    roots: np.ndarray,
    done_with_them: Callable[[], object] = lambda: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Immediate dominators, and the objects in an order that has every dominator before what it dominates.

    Parameters
    ----------
    offsets, targets : int64[n + 1], int32[m]
    kinds : uint8[m], or empty where no reference is weak
    roots : int32[k]
    done_with_them : is called once none of these is looked at any more, to let go of them

    Returns
    -------
    int32[n] : -1 dominated by the virtual root alone, -2 unreachable
    int32[c] : the reachable objects in depth-first order
    """
    n = offsets.size - 1
    # numpy asks the kernel for huge pages, numba does not: with small ones half the time at ten million objects
    # goes into address translation. So the large arrays come from here.
    seen = np.empty((n, 2), np.int32)
    vertex = np.empty(n + 1, np.int32)
    forest = np.empty((n + 1, 2), np.int32)
    cursor = np.empty(n + 1, np.int32 if targets.size <= np.iinfo(np.int32).max else np.int64)
    count = _number(offsets, targets, kinds, roots, seen, vertex, forest, cursor)
    vertex = vertex[: count + 1]
    starts = cursor[: count + 1]
    total = _starts(seen, vertex, starts)
    predecessors = np.empty(total, np.int32)
    _predecessors(offsets, targets, kinds, seen, vertex, starts, predecessors)
    done_with_them()
    is_root = _is_root(roots, seen, count + 1)
    stack, semi = seen.reshape(-1)[: count + 1], np.empty(count + 1, np.int32)
    parents = forest[: count + 1, _ANCESTOR].copy()
    _semidominators(starts, predecessors, forest, is_root, semi, stack)
    # Memory used before costs nothing; the first touch of new memory can cost more than what is done in it.
    dominator = cursor.view(np.int32)[: count + 1]
    del starts, predecessors, cursor
    if not _nearest_common_ancestors(parents, semi, dominator, _PATIENCE * (count + 1)):
        _evaluate(parents, semi, forest, dominator, np.empty(count + 1, np.int32), stack)
    immediate = np.empty(n, np.int32)
    _by_object(dominator, vertex, immediate)
    return immediate, vertex[1:]


# What is looked at together lies together: the time goes into waiting for memory, not into arithmetic.
_NUMBER, _INCOMING = 0, 1  # columns by object
_ANCESTOR, _LEAST, _LABEL = 0, 1, 1  # columns by number
#: How far ahead memory is asked for.
_AHEAD = 8
#: Steps for each object after which nearest common ancestors are given up.
_PATIENCE = 4


@compiled
def _number(offsets, targets, kinds, roots, seen, vertex, forest, cursor):
    """How many objects are reached; fills in their depth-first numbers and counts of references.

    ``seen`` by object (number 0: not reached); by number ``vertex``, the object, and ``forest``, whose first
    column is the parent in the tree. ``cursor`` is scratch: by number the next reference to follow.
    """
    for i in range(seen.shape[0]):
        seen[i, _NUMBER] = 0
        seen[i, _INCOMING] = 0
    vertex[0] = -1
    forest[0, _ANCESTOR] = 0
    count = 0
    for root in roots:
        if seen[root, _NUMBER]:
            continue
        count += 1
        seen[root, _NUMBER] = count
        vertex[count] = root
        forest[count, _ANCESTOR] = 0
        cursor[count] = offsets[root]
        at = count
        while at:
            end = offsets[vertex[at] + 1]
            e = cursor[at]
            child = np.int32(-1)
            while e < end:
                target = targets[e]
                e += 1
                if kinds.size and kinds[e - 1] == _WEAK:
                    continue
                seen[target, _INCOMING] += 1
                if seen[target, _NUMBER] == 0:
                    child = target
                    break
            cursor[at] = e
            if child < 0:
                at = forest[at, _ANCESTOR]
            else:
                count += 1
                seen[child, _NUMBER] = count
                vertex[count] = child
                forest[count, _ANCESTOR] = at
                e = offsets[child]
                cursor[count] = e
                for ahead in range(e, min(e + _AHEAD, offsets[child + 1])):
                    prefetch(seen, 2 * np.int64(targets[ahead]))
                    prefetch(offsets, np.int64(targets[ahead]))
                at = count
    return count


@compiled
def _starts(seen, vertex, starts):
    """Fills in where the references to each number begin; returns how many there are."""
    total = np.int64(0)
    for w in range(vertex.size):
        starts[w] = total
        if w:
            total += seen[vertex[w], _INCOMING]
    return total


@compiled
def _predecessors(offsets, targets, kinds, seen, vertex, starts, predecessors):
    """References between reachable objects, by target, all in depth-first numbers."""
    # Filled from each end downwards: the counts left over serve as cursors.
    for w in range(vertex.size - 1, 0, -1):
        if w > 3 * _AHEAD:
            prefetch(offsets, np.int64(vertex[w - 3 * _AHEAD]))
            prefetch(targets, offsets[vertex[w - 2 * _AHEAD]])
            near = vertex[w - _AHEAD]
            for ahead in range(offsets[near], min(offsets[near] + _AHEAD, offsets[near + 1])):
                prefetch(seen, 2 * np.int64(targets[ahead]))
        source = vertex[w]
        for e in range(offsets[source], offsets[source + 1]):
            if not (kinds.size and kinds[e] == _WEAK):
                target = targets[e]
                seen[target, _INCOMING] -= 1
                predecessors[starts[seen[target, _NUMBER]] + seen[target, _INCOMING]] = w


@compiled
def _is_root(roots, seen, size):
    """bool[c + 1] by number."""
    marked = np.zeros(size, np.bool_)
    for root in roots:
        marked[seen[root, _NUMBER]] = True
    return marked


@compiled
def _compress(v, linked, forest, stack):
    """Brings the least semidominator on the forest path above *v* into its own row.

    Numbers from ``linked`` on are linked.
    """
    top = 0
    y = v
    while forest[y, _ANCESTOR] >= linked:
        stack[top] = y
        top += 1
        y = forest[y, _ANCESTOR]
    # y hangs directly below its tree's root: what it has is right already.
    while top:
        top -= 1
        z = stack[top]
        forest[z, _LEAST] = min(forest[z, _LEAST], forest[y, _LEAST])
        forest[z, _ANCESTOR] = forest[y, _ANCESTOR]
        y = z


@compiled
def _semidominators(starts, predecessors, forest, is_root, semi, stack):
    """Fills in ``semi`` by number.

    Parents turn into the forest's ancestors as numbers get linked: only numbers above the one at work are
    compressed, so a parent is still in place when its child is looked at.
    """
    end = np.int64(predecessors.size)
    semi[0] = 0
    for w in range(semi.size - 1, 0, -1):
        least = np.int32(0) if is_root[w] else forest[w, _ANCESTOR]
        if least:
            for k in range(starts[w], end):
                if k >= 2 * _AHEAD:
                    prefetch(forest, 2 * np.int64(predecessors[k - 2 * _AHEAD]))
                v = predecessors[k]
                if v > w:
                    _compress(v, w + 1, forest, stack)
                    v = forest[v, _LEAST]
                least = min(least, v)
        end = starts[w]
        semi[w] = least
        forest[w, _LEAST] = least


@compiled
def _nearest_common_ancestors(parents, semi, dominator, patience):
    """Fills in ``dominator`` by number; False where that took more steps than ``patience``."""
    dominator[0] = 0
    for w in range(1, semi.size):
        at = parents[w]
        while at > semi[w]:
            at = dominator[at]
            patience -= 1
        if patience < 0:
            return False
        dominator[w] = at
    return True


@compiled
def _evaluate(parents, semi, forest, dominator, bucket, stack):
    """The same from the semidominators by LINK and EVAL.

    ``bucket`` holds the first number whose semidominator this is (0: none), and ``dominator`` the next one of the
    same bucket until it is known.
    """
    for w in range(semi.size):
        bucket[w] = 0
        forest[w, _ANCESTOR] = parents[w]
        forest[w, _LABEL] = w
    dominator[0] = 0
    for w in range(semi.size - 1, 0, -1):
        above = parents[w]
        if semi[w] == above:
            dominator[w] = above  # nothing leads around the parent: no need to wait for it in a bucket
        else:
            dominator[w] = bucket[semi[w]]
            bucket[semi[w]] = w
        # LINK(above, w) is implied: from now on w counts as linked.
        v = bucket[above]
        bucket[above] = 0
        while v:
            following = dominator[v]
            u = _least_labelled(v, w, forest, semi, stack)
            dominator[v] = u if semi[u] < semi[v] else above
            v = following
    for w in range(1, semi.size):
        if dominator[w] != semi[w]:
            dominator[w] = dominator[dominator[w]]


@compiled
def _least_labelled(v, linked, forest, semi, stack):
    """EVAL: the number of least semidominator on the forest path above *v*."""
    top = 0
    y = v
    while forest[y, _ANCESTOR] >= linked:
        stack[top] = y
        top += 1
        y = forest[y, _ANCESTOR]
    while top:
        top -= 1
        z = stack[top]
        if semi[forest[y, _LABEL]] < semi[forest[z, _LABEL]]:
            forest[z, _LABEL] = forest[y, _LABEL]
        forest[z, _ANCESTOR] = forest[y, _ANCESTOR]
        y = z
    return forest[v, _LABEL]


@compiled
def _by_object(dominator, vertex, immediate):
    for i in range(immediate.size):
        immediate[i] = UNREACHABLE
    for w in range(1, vertex.size):
        immediate[vertex[w]] = vertex[dominator[w]]  # vertex[0] is -1, the virtual root


def sum_up_tree(order: np.ndarray, dominator: np.ndarray, values: np.ndarray) -> np.ndarray:
    """int64[n]: by object the sum of ``values`` over all it dominates, itself included; 0 where unreachable.

    ``order`` has every dominator before what it dominates.
    """
    sums = np.empty(dominator.size, np.int64)
    _sum_up(order, dominator, values, sums)
    return sums


@compiled
def _sum_up(order, dominator, values, sums):
    for i in range(sums.size):
        sums[i] = 0
    for k in range(order.size - 1, -1, -1):
        i = order[k]
        sums[i] += values[i]
        above = dominator[i]
        if above >= 0:
            sums[above] += sums[i]


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
