"""Captured variables that no living function uses, told from the scopes that V8 of 2026 writes.

The variables that the functions made in one run of a function share lie in one context, and V8 keeps all of it as long
as any of them lives. What only a dead one used stays. A variable counts as used where a living closure, or a function
written inside it, refers to it and the variable's own context is on that closure's chain. Where more could use it than
can be seen, it counts as used: everything on the way outwards from a context that something else than a closure or
another context refers to (a suspended function, a module, ``arguments``, a stack, a debugger), or that a closure sees
whose scopes are not known (``eval``); and script scopes, which every other script sees too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from forensics import arrow
from forensics.formats.v8.raw import RawHeap
from forensics.formats.v8.scopes import NOBODY, Scopes
from forensics.formats.v8.scripts import places_of_scopes
from forensics.heap import columns
from forensics.heap.compiled import compiled, frozen

_NUMBER = re.compile(r"-?[0-9]{1,9}")
#: Scopes whose variables nothing sees but the functions written inside.
_JUDGED = ("FUNCTION_SCOPE", "BLOCK_SCOPE", "CATCH_SCOPE", "MODULE_SCOPE")
#: Steps after which nothing is said: no program's functions use so much, but a file may claim it.
_MOST_STEPS = 1 << 30
_NONE = np.empty(0, np.int64), np.empty(0, np.int64)


def unused(raw: RawHeap) -> pa.Table:
    """The rows of ``HeapGraph.unused``; none where the file has no scopes.

    To be asked before ``raw``'s edges become references. Time and memory grow with closures, contexts and scopes,
    but for two passes over the edges.
    """
    scopes = raw.scopes
    if scopes is None or not len(scopes):
        return columns.unused()
    closures = _closures(raw, scopes)
    contexts = _contexts(raw, closures)
    # The same function made in the same context uses the same variables.
    count = len(contexts.nodes)
    pairs = np.sort(closures.scopes * count + contexts.places(closures.contexts))
    made = np.divmod(pairs[np.diff(pairs, prepend=-1 - count) > 0], max(count, 1))
    scope_of, fine = _matched(
        *map(frozen, (made[0], made[1], contexts.up, contexts.ids, scopes.parents, scopes.ids)),
        contexts.shared,
        _MOST_STEPS,
    )
    references, scope = _judged(raw, scopes, contexts, scope_of, made) if fine else _NONE
    distinct, of_scope = np.unique(scope, return_inverse=True)
    closure_of = dict(zip(closures.scopes[::-1].tolist(), closures.nodes[::-1].tolist(), strict=True))
    info_of = dict(zip(scope_of[::-1].tolist(), contexts.infos[::-1].tolist(), strict=True))
    places = places_of_scopes(raw, scopes, distinct.tolist(), closure_of, info_of)
    functions, files, lines = zip(*places, strict=True) if places else ((), (), ())
    return pa.Table.from_arrays(
        [
            arrow.column(references, pa.int64()),
            arrow.taken(arrow.column(functions, pa.string()), of_scope),
            arrow.taken(arrow.column(files, pa.string()), of_scope),
            arrow.column(np.array(lines, np.int32)[of_scope], pa.int32()),
        ],
        schema=columns.unused().schema,
    )


def _judged(
    raw: RawHeap,
    scopes: Scopes,
    contexts: _Contexts,
    scope_of: np.ndarray,
    made: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """int64[r], int64[r]: the references, ascending, and the scope that each one's variable belongs to.

    Parameters
    ----------
    scope_of : int64[c], the scope of each context, negative where it is not known
    made : int64[k], int64[k], scopes of functions and the contexts that they were made in
    """
    counts = np.where(scope_of >= 0, np.diff(scopes.variables)[scope_of], 0)
    first = np.concatenate([[0], np.cumsum(counts)])
    if first[-1] > len(raw.targets):  # a variable is an edge
        return _NONE
    used = np.zeros(int(first[-1]), np.bool_)
    functions, inside = (each[made[0] >= 0] for each in made)
    uses = scopes.uses[functions], scopes.uses[scopes.ends[functions]]
    at = np.full(len(scopes), -1, np.int64)
    chains = map(frozen, (inside, *uses, contexts.up, scope_of, contexts.shared))
    if not _mark(*chains, *map(frozen, (first, scopes.declaring, scopes.slots)), at, used, _MOST_STEPS):
        return _NONE
    # What uses a scope whose number another one has too is not known.
    alone = scopes.find(scopes.scripts, scopes.ids) >= 0
    rows = np.flatnonzero(contexts.judged & ~contexts.shared & (scope_of >= 0) & alone[scope_of])
    edges = map(frozen, (raw.offsets, raw.edge_kinds, raw.labels))
    asked = map(frozen, (contexts.nodes[rows], scope_of[rows], first[rows], used))
    references, scope = _idle(
        *edges, *asked, frozen(scopes.variables), frozen(scopes.names), raw.edge_type("context")
    )
    labels, of_label = np.unique(raw.labels[references], return_inverse=True)
    # V8's own variables (``.new.target``) are nobody's to change.
    named = [not name.startswith(".") for name in arrow.taken(raw.strings, labels).to_pylist()]
    written = np.array(named, np.bool_)[of_label]
    return references[written], scope[written]


@dataclass(frozen=True, eq=False)
class _Closures:
    """int64[k]: closures, the scopes of their functions (-1: not known) and the contexts they were made in."""

    nodes: np.ndarray
    scopes: np.ndarray
    contexts: np.ndarray


@dataclass(frozen=True, eq=False)
class _Contexts:
    """Contexts on the chains of closures, by node.

    Attributes
    ----------
    nodes : int64[c], ascending; up : int64[c], the place here of the context around each, -1 where there is none
    infos : int64[c], their ScopeInfo; ids : int64[c], the number of their scope, ``NOBODY`` where it has none
    judged : bool[c], only functions written inside see the variables
    shared : bool[c], all of the variables count as used
    """

    nodes: np.ndarray
    up: np.ndarray
    infos: np.ndarray
    ids: np.ndarray
    judged: np.ndarray
    shared: np.ndarray

    def places(self, nodes: np.ndarray) -> np.ndarray:
        """Where these nodes stand among the contexts, -1 for those that are none."""
        return _places(self.nodes, nodes)


def _places(known: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    if not len(known):
        return np.full(len(nodes), -1, np.int64)
    at = np.minimum(np.searchsorted(known, nodes), len(known) - 1)
    return np.where(known[at] == nodes, at, -1)


def _closures(raw: RawHeap, scopes: Scopes) -> _Closures:
    nodes = np.flatnonzero(raw.types == raw.node_type("closure"))
    shared, contexts = raw.follow(nodes, "shared"), raw.follow(nodes, "context")
    whole = contexts >= 0
    functions, of_function = np.unique(shared[whole], return_inverse=True)
    numbers = _numbers(raw, raw.follow(functions, "scope_id"))
    known = scopes.find(raw.follow(functions, "script"), numbers)
    return _Closures(nodes[whole], known[of_function], contexts[whole])


def _contexts(raw: RawHeap, closures: _Closures) -> _Contexts:
    edges = [frozen(each) for each in (raw.offsets, raw.edge_kinds, raw.labels, raw.targets)]
    internal, previous = raw.edge_type("internal"), arrow.index(raw.strings, "previous")
    found = _outwards(*edges, frozen(closures.contexts), internal, previous)
    nodes = np.flatnonzero(found)
    is_closure = frozen(raw.types == raw.node_type("closure"))
    label = arrow.index(raw.strings, "context")
    shared = _from_elsewhere(
        *edges, is_closure, frozen(found), internal, label, previous, raw.edge_type("weak")
    )
    infos = raw.follow(nodes, "scope_info")
    distinct, of_info = np.unique(infos, return_inverse=True)
    judged = np.isin(_texts(raw, raw.follow(distinct, "scope_type_name")), _JUDGED)
    up = _places(nodes, raw.follow(nodes, "previous"))
    shared = shared[nodes]
    _spread(frozen(up), shared)
    ids = _numbers(raw, raw.follow(distinct, "scope_id"))
    return _Contexts(nodes, up, infos, ids[of_info], judged[of_info], shared)


def _texts(raw: RawHeap, nodes: np.ndarray) -> list[str]:
    """The name of each node, empty for -1."""
    known = nodes >= 0
    found = np.full(len(nodes), "", object)
    found[known] = arrow.taken(raw.strings, raw.names[nodes[known]]).to_pylist()
    return found.tolist()


def _numbers(raw: RawHeap, nodes: np.ndarray) -> np.ndarray:
    """int64: the number that each node is; V8 writes its digits as a string beside it. ``NOBODY`` for all others."""
    texts = _texts(raw, raw.follow(nodes, "value"))
    return np.array([int(text) if _NUMBER.fullmatch(text) else NOBODY for text in texts], np.int64)


@compiled
def _outwards(offsets, kinds, labels, targets, starts, internal, previous):
    """bool[n]: the contexts from these outwards."""
    found = np.zeros(offsets.size - 1, np.bool_)
    for start in starts:
        node = start
        while node >= 0 and not found[node]:
            found[node] = True
            around = np.int64(-1)
            for e in range(offsets[node], offsets[node + 1]):
                if kinds[e] == internal and labels[e] == previous:
                    around = np.int64(targets[e])
            node = around
    return found


@compiled
def _from_elsewhere(
    offsets, kinds, labels, targets, is_closure, is_context, internal, context, previous, weak
):
    """bool[n]: the contexts that something else than a closure or a context refers to."""
    found = np.zeros(offsets.size - 1, np.bool_)
    for i in range(offsets.size - 1):
        for e in range(offsets[i], offsets[i + 1]):
            if not is_context[targets[e]] or kinds[e] == weak:
                continue
            usual = kinds[e] == internal and (
                (is_closure[i] and labels[e] == context) or (is_context[i] and labels[e] == previous)
            )
            if not usual:
                found[targets[e]] = True
    return found


@compiled
def _spread(up, shared):
    """What holds for a context holds outwards."""
    reached = np.zeros(up.size, np.bool_)
    for start in range(up.size):
        c = np.int64(start)
        while c >= 0 and shared[start] and not reached[c]:
            reached[c] = True
            c = up[c]
    shared |= reached


@compiled
def _matched(functions, starts, up, ids, parents, scope_ids, shared, most):
    """(the scope of each context, whether it took no more than ``most`` steps).

    A context is one of a scope around the function that was made in it, the next one outwards of one around that. From
    the first that is none on outwards all are ``shared``, for there is no telling what the function uses. -1: of no
    scope, -2: of different ones.
    """
    found = np.full(up.size, -1, np.int64)
    steps = 0
    for k in range(functions.size):
        c = starts[k]
        scope = parents[functions[k]] if functions[k] >= 0 else np.int64(-1)
        while c >= 0:
            while scope >= 0 and scope_ids[scope] != ids[c]:
                scope = parents[scope]
                steps += 1
            if scope < 0:
                break
            found[c] = scope if found[c] == -1 or found[c] == scope else -2
            scope = parents[scope]
            c = up[c]
            steps += 1
            if steps > most:
                return found, False
        while c >= 0 and not shared[c]:
            shared[c] = True
            c = up[c]
    return found, True


@compiled
def _mark(starts, begins, ends, up, scope_of, shared, first, declaring, slots, at, used, most):
    """Marks in ``used`` the variables that functions use, by context; False if it takes more than ``most`` steps.

    From the first context that is ``shared`` on outwards nothing is asked.

    Parameters
    ----------
    starts, begins, ends : int64[k], where each function was made, and the range of what it uses
    first : int64[c + 1], the first variable of each context; at : int64[s], -1 throughout
    """
    steps = 0
    for k in range(starts.size):
        if shared[starts[k]]:
            continue
        steps += ends[k] - begins[k]
        c = starts[k]
        while c >= 0 and not shared[c]:
            if scope_of[c] >= 0:
                at[scope_of[c]] = c
            c = up[c]
            steps += 1
            if steps > most:
                return False
        for use in range(begins[k], ends[k]):
            scope = declaring[use]
            if scope >= 0 and at[scope] >= 0:
                used[first[at[scope]] + slots[use]] = True
        c = starts[k]
        while c >= 0 and not shared[c]:
            if scope_of[c] >= 0:
                at[scope_of[c]] = -1
            c = up[c]
    return True


@compiled
def _idle(offsets, kinds, labels, nodes, scopes, first, used, variables, names, kind):
    """(references of variables that are not marked, the scopes that they belong to).

    A context whose variables are not those of its scope, one by one, is passed over.
    """
    references, of_scope = np.empty(used.size, np.int64), np.empty(used.size, np.int64)
    count = 0
    for k in range(nodes.size):
        begin = variables[scopes[k]]
        expected = variables[scopes[k] + 1] - begin
        here, place = count, 0
        fits = True
        for e in range(offsets[nodes[k]], offsets[nodes[k] + 1]):
            if kinds[e] != kind:
                continue
            if place == expected or names[begin + place] != labels[e]:
                fits = False
                break
            if not used[first[k] + place]:
                references[count] = e
                of_scope[count] = scopes[k]
                count += 1
            place += 1
        if not fits or place != expected:
            count = here
    return references[:count].copy(), of_scope[:count].copy()
