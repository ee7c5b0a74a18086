"""Loops over the arrays of a graph of V8, compiled; what the shapes mean stands in ``recognise_node``."""

from __future__ import annotations

import numpy as np

from forensics.agent.stream import EdgeKind
from forensics.heap.compiled import compiled

_ATTRIBUTE, _KEY, _ITEM = int(EdgeKind.ATTRIBUTE), int(EdgeKind.KEY), int(EdgeKind.ITEM)
_SLOT = int(EdgeKind.SLOT)


@compiled
def _name_at(kinds, labels, texts, e):
    """The string that names a property, -1 where it is none."""
    if kinds[e] == _ATTRIBUTE:
        return labels[e]
    if kinds[e] == _KEY and labels[e] >= 0:
        return texts[labels[e]]
    return np.int32(-1)


@compiled
def masks(offsets, targets, kinds, labels, texts, words):
    """uint64[n], the mask of known words among each object's properties, and int32[n], how many it has."""
    n = offsets.size - 1
    masks = np.zeros(n, np.uint64)
    counts = np.zeros(n, np.int32)
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] == _ATTRIBUTE or kinds[e] == _KEY:
                counts[i] += 1
                name = _name_at(kinds, labels, texts, e)
                if name >= 0 and words[name] >= 0:
                    masks[i] |= np.uint64(1) << np.uint64(words[name])
    return masks, counts


@compiled
def children(offsets, targets, kinds, labels, texts, words, objects, word):
    """int32[len(objects)]: the value of the property of that word, -1 where there is none."""
    found = np.full(objects.size, -1, np.int32)
    for k in range(objects.size):
        for e in range(offsets[objects[k]], offsets[objects[k] + 1]):
            name = _name_at(kinds, labels, texts, e)
            if name >= 0 and words[name] == word:
                found[k] = targets[e]
                break
    return found


@compiled
def attribute_values(offsets, targets, kinds, labels, texts, words, counts, plain, value_class):
    """bool[n]: objects of one property, a type descriptor, with a value of its class."""
    n = offsets.size - 1
    found = np.zeros(n, np.bool_)
    for i in range(n):
        if not plain[i] or counts[i] != 1:
            continue
        for e in range(offsets[i], offsets[i + 1]):
            name = _name_at(kinds, labels, texts, e)
            if name < 0:
                continue
            word = words[name]
            kind = value_class[targets[e]]
            if word in (0, 1):
                found[i] = kind == 1
            elif word == 2:
                found[i] = kind == 2
            elif word in (3, 4):
                found[i] = kind == 0
            elif 5 <= word <= 8:
                found[i] = kind == 3
            elif word == 9:
                found[i] = kind == 4
    return found


@compiled
def items(offsets, targets, kinds, labels, texts, words, plain, is_value, colon):
    """uint8[n]: 1 an item, 2 the map of an attribute value M, 3 the values of an expression."""
    n = offsets.size - 1
    found = np.zeros(n, np.uint8)
    for i in range(n):
        if not plain[i] or is_value[i]:
            continue
        values, colons, others = 0, 0, 0
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] == _ATTRIBUTE or kinds[e] == _KEY:
                if is_value[targets[e]]:
                    values += 1
                    name = _name_at(kinds, labels, texts, e)
                    if name >= 0 and colon[name]:
                        colons += 1
                else:
                    others += 1
        if values and not others:
            found[i] = 3 if colons == values else 1
    for i in range(n):
        if not is_value[i]:
            continue
        for e in range(offsets[i], offsets[i + 1]):
            name = _name_at(kinds, labels, texts, e)
            if name >= 0 and words[name] == 9 and found[targets[e]] == 1:
                found[targets[e]] = 2
    return found


@compiled
def leading_to(offsets, targets, kinds, wanted):
    """bool[n]: objects with a slot that leads to a wanted one."""
    found = np.zeros(offsets.size - 1, np.bool_)
    for i in range(found.size):
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] == _SLOT and wanted[targets[e]]:
                found[i] = True
                break
    return found


@compiled
def made_one_by_one(offsets, targets, kinds, labels, plain, values, overflow, properties, maps):
    """int32[n]: the shape of each object with nothing but values, rich ones among them, some in an array; else -1."""
    found = np.full(offsets.size - 1, -1, np.int32)
    for i in range(found.size):
        if not plain[i]:
            continue
        shape, rich, apart, foreign = np.int32(-1), False, False, False
        for e in range(offsets[i], offsets[i + 1]):
            value = values[targets[e]]
            if kinds[e] == _ATTRIBUTE or kinds[e] == _KEY:
                foreign |= value == 0
                rich |= value == 2
            elif kinds[e] == _ITEM:
                foreign = True
            elif kinds[e] == _SLOT:
                for label in properties:
                    apart |= labels[e] == label and overflow[targets[e]]
                for label in maps:
                    if labels[e] == label:
                        shape = targets[e]
        if apart and rich and not foreign:
            found[i] = shape
    return found


@compiled
def names(offsets, targets, kinds, labels, texts, items, size):
    """bool[size]: the strings that name properties of these items."""
    known = np.zeros(size, np.bool_)
    for i in items:
        for e in range(offsets[i], offsets[i + 1]):
            name = _name_at(kinds, labels, texts, e)
            if name >= 0:
                known[name] = True
    return known


@compiled
def shares(offsets, targets, kinds, labels, texts, known):
    """int32[n] twice: properties with a known name, and all properties."""
    n = offsets.size - 1
    seen = np.zeros(n, np.int32)
    every = np.zeros(n, np.int32)
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            name = _name_at(kinds, labels, texts, e)
            if name >= 0:
                every[i] += 1
                if known[name]:
                    seen[i] += 1
    return seen, every


@compiled
def counted(offsets, targets, kinds, labels, texts, arrays, wanted):
    """int32[len(arrays)]: how many elements of each array are wanted ones."""
    found = np.zeros(arrays.size, np.int32)
    for k in range(arrays.size):
        for e in range(offsets[arrays[k]], offsets[arrays[k] + 1]):
            if kinds[e] == _ITEM and wanted[targets[e]]:
                found[k] += 1
    return found
