"""The scopes of a snapshot's scripts: which variables functions share, and which of them each function uses.

V8 of 2026 parses every script again while it writes a snapshot, and adds three arrays: ``scopes`` (one record for
each, those of a script in the order of its text, with their depth), ``scope_context_vars`` (the variables that a scope
keeps in its context) and ``scope_uses`` (what a scope refers to: a scope of the same script and the variable's place
there). The latter two belong to the scopes one after the other, as many to each as its record says. Where a variable's
uses cannot be known (``eval``, classes with private names), V8 names no variables. Source: V8's
test/unittests/profiler/heap-snapshot-scopes-unittest.cc.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from forensics.formats.v8.records import whole
from forensics.formats.v8.sections import Sections
from forensics.heap.compiled import compiled, frozen

_SCOPE = ("script_node_index", "scope_id", "depth", "scope_context_vars_count", "scope_uses_count")
_USE = ("declaring_scope_id", "slot_index")
#: No number of a scope, or of a place in one, has more bits.
_BITS = 31
#: No scope has this number.
NOBODY = 1 << 40


@dataclass(frozen=True, eq=False)
class Scopes:
    """The tables as columns; s scopes, v variables, u uses.

    Attributes
    ----------
    scripts, ids : int64[s], the node of the script and the scope's number in it
    parents, ends : int64[s], the scope around it (-1: none) and the first one after it that is not inside
    variables, uses : int64[s + 1], where the variables and the uses of each scope begin
    names : int64[v], index into the file's strings
    declaring, slots : int64[u], the scope that declares what is used (-1: not known) and its place there
    """

    scripts: np.ndarray
    ids: np.ndarray
    parents: np.ndarray
    ends: np.ndarray
    variables: np.ndarray
    uses: np.ndarray
    names: np.ndarray
    declaring: np.ndarray
    slots: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, scripts: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """int64[k]: the scopes with these numbers in these scripts, -1 where there is none or more than one."""
        return _find(_keys(self.scripts, self.ids), _keys(scripts, ids))

    def named(self, strings: int) -> bool:
        """Whether every variable's name stands among so many strings."""
        return not len(self.names) or 0 <= int(self.names.min()) <= int(self.names.max()) < strings


def read_scopes(sections: Sections, meta: dict[str, Any], node_width: int, nodes: int) -> Scopes | None:
    """The scopes of a snapshot; None where the file has none, or describes them in another way.

    Raises
    ------
    FormatError : counts that do not add up, numbers out of range, a scope deeper than the one before has room for.
    """
    records = whole(sections, "scopes", meta.get("scope_fields"), _SCOPE)
    names = whole(sections, "scope_context_vars", meta.get("scope_context_var_fields"), ("name",))
    used = whole(sections, "scope_uses", meta.get("scope_use_fields"), _USE)
    if records is None or names is None or used is None:
        return None
    for name, rows in (("scope", records), ("use of a variable", used)):
        if len(rows) and int(np.abs(rows).max()) >> _BITS:
            raise sections.error(f"a {name} has a number that is out of range", 0)
    scripts, ids, depths, variables, uses = records.T
    if len(records):
        known = scripts[scripts >= 0]
        if (known >= nodes * node_width).any() or (known % node_width).any():
            raise sections.error("a scope's script is no node", 0)
        if int(variables.min()) < 0 or int(uses.min()) < 0:
            raise sections.error("a scope has fewer variables or uses than none", 0)
    for what, counts, found in (("variables", variables, len(names)), ("uses", uses, len(used))):
        if int(counts.sum()) != found:
            raise sections.error(f"the scopes have {int(counts.sum()):,} {what}, {found:,} are there", 0)
    parents, ends, wrong = _nested(*(frozen(each) for each in (scripts, depths)))
    if wrong >= 0:
        raise sections.error(f"scope {int(wrong):,} lies in none", 0)
    declaring = _find(_keys(scripts, ids), _keys(np.repeat(scripts, uses), used[:, 0]))
    # A variable that V8 chose not to name has a place beyond those that are.
    slots = used[:, 1]
    declaring[(slots < 0) | (slots >= variables[declaring])] = -1
    return Scopes(
        scripts // node_width,
        ids.copy(),
        parents,
        ends,
        np.concatenate([[0], np.cumsum(variables)]),
        np.concatenate([[0], np.cumsum(uses)]),
        names[:, 0],
        declaring,
        slots.copy(),
    )


def _keys(scripts: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """int64: one number for a script and a number in it; -1 where either is unknown."""
    keys = (scripts << (_BITS + 1)) | (ids + (1 << _BITS))
    return np.where((scripts < 0) | (ids == NOBODY), -1, keys)


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """int64: the place among ``keys`` of each that is wanted, -1 where it has none or several."""
    known, first, count = np.unique(keys, return_index=True, return_counts=True)
    if not len(known):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where((known[at] == wanted) & (count[at] == 1), first[at], -1)


@compiled
def _nested(scripts, depths):
    """(the scope around each, the first one after it that is not inside, the first that lies in none or -1)."""
    count = scripts.size
    parents, ends = np.empty(count, np.int64), np.empty(count, np.int64)
    last = np.int64(-1)
    for k in range(count):
        around = last
        # Scopes are left until one is higher than this one: that lies around it.
        while around >= 0 and depths[around] >= depths[k]:
            around = parents[around]
        if depths[k] != 0 and (
            around < 0 or depths[around] != depths[k] - 1 or scripts[around] != scripts[k]
        ):
            return parents, ends, np.int64(k)
        while last != around:
            ends[last] = k
            last = parents[last]
        parents[k] = around
        last = np.int64(k)
    while last >= 0:
        ends[last] = count
        last = parents[last]
    return parents, ends, np.int64(-1)
