"""A snapshot's edges as references of the model: one pass for each question, in place where that is possible."""

from __future__ import annotations

from forensics.agent.stream import EdgeKind
from forensics.heap.compiled import compiled

_KEY, _ITEM, _MEMBER = int(EdgeKind.KEY), int(EdgeKind.ITEM), int(EdgeKind.MEMBER)
_ATTRIBUTE, _CLOSURE, _SLOT = int(EdgeKind.ATTRIBUTE), int(EdgeKind.CLOSURE), int(EdgeKind.SLOT)
_INTERNAL, _WEAK = int(EdgeKind.INTERNAL), int(EdgeKind.WEAK)


@compiled
def classify(offsets, kinds, labels, holds, of_type, plumbing, inherited):
    """Types of edges become kinds, in place; labels of hidden edges become -1.

    Parameters
    ----------
    of_type : uint8[256], the kind of each type of edge
    plumbing : bool[n], nodes whose elements and slots are no ones that a person would write
    inherited : the string that names the prototype of an object, -1 where the file has none
    """
    for i in range(offsets.size - 1):
        for e in range(offsets[i], offsets[i + 1]):
            kind = of_type[kinds[e]]
            if kind == _INTERNAL:
                labels[e] = -1
            elif kind == _ATTRIBUTE and labels[e] == inherited:
                kind = _SLOT
            if plumbing[i] and (kind in (_ITEM, _SLOT)):
                kind = _INTERNAL
            kinds[e] = kind if holds[e] else _WEAK


@compiled
def count_elements(offsets, kinds, wanted, lengths):
    """Fills in, for the wanted nodes, how many of their references lead to an element."""
    for i in range(offsets.size - 1):
        if not wanted[i]:
            continue
        count = 0
        for e in range(offsets[i], offsets[i + 1]):
            kind = kinds[e]
            if kind in (_ITEM, _KEY, _MEMBER):
                count += 1
        lengths[i] = count


@compiled
def mark_kept(kinds, labels, targets, known, at_known, wanted):
    """Marks in ``wanted`` (bool[n]) the keys and, with ``at_known``, what known names (bool[strings]) lead to."""
    for e in range(kinds.size):
        label = labels[e]
        if label < 0:
            continue
        kind = kinds[e]
        if kind == _KEY:
            wanted[label] = True
        elif at_known and (kind in (_ATTRIBUTE, _CLOSURE)) and known[label]:
            wanted[targets[e]] = True


@compiled
def forget_names(kinds, labels, secret, used):
    """Labels that are no names, or look like a value, become -1; ``used`` (bool[strings]) marks all others."""
    for e in range(kinds.size):
        kind = kinds[e]
        label = labels[e]
        if kind in (_INTERNAL, _WEAK):
            labels[e] = -1
        elif label >= 0 and (kind in (_ATTRIBUTE, _CLOSURE, _SLOT)):
            if secret[label]:
                labels[e] = -1
            else:
                used[label] = True


@compiled
def renumber(kinds, labels, place):
    """Labels that are names, as places among the strings that are kept."""
    for e in range(kinds.size):
        kind = kinds[e]
        if labels[e] >= 0 and (kind in (_ATTRIBUTE, _CLOSURE, _SLOT)):
            labels[e] = place[labels[e]]


@compiled
def texts_in_pool(texts, place):
    """Texts as places among the strings that are kept, in place."""
    for i in range(texts.size):
        if texts[i] >= 0:
            texts[i] = place[texts[i]]


@compiled
def names_in_use(types, names, named, unless, empty, used):
    """Marks in ``used`` (bool[strings]) the names of nodes whose type is ``named`` (bool[256]).

    Nodes of type ``unless`` count where their name is not the ``empty`` one.
    """
    for i in range(types.size):
        if named[types[i]] or (types[i] == unless and names[i] != empty):
            used[names[i]] = True


@compiled
def number_types(types, names, named, unless, empty, place, first, numbers):
    """The type of each node: the place of its name for the same nodes, else ``first`` and its own type."""
    for i in range(types.size):
        if named[types[i]] or (types[i] == unless and names[i] != empty):
            numbers[i] = place[names[i]]
        else:
            numbers[i] = first + types[i]
