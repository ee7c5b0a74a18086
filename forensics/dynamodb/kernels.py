"""Loops over the arrays of a graph, compiled; what the shapes mean stands in ``recognise``."""

from __future__ import annotations

import numba as nb
import numpy as np

from forensics.agent.stream import EdgeKind

_KEY = int(EdgeKind.KEY)
_WEAK = int(EdgeKind.WEAK)
_ITEM = int(EdgeKind.ITEM)
_ATTRIBUTE = int(EdgeKind.ATTRIBUTE)
_SLOT = int(EdgeKind.SLOT)

# Classes of values, one for each type of a graph.
OTHER, STR, BYTES, BOOL, NONE, LIST, DICT, SET, TUPLE, DECIMAL, BINARY, INT, FLOAT = range(13)


@nb.njit(cache=True)
def key_words(offsets, kinds, labels, texts, word_of_string):
    """Per object the mask of known keys and the number of keys; per reference the known word, -1 otherwise.

    Returns uint64[n], int32[n], int8[m].
    """
    n = offsets.size - 1
    masks = np.zeros(n, np.uint64)
    counts = np.zeros(n, np.int32)
    words = np.full(kinds.size, -1, np.int8)
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] != _KEY:
                continue
            counts[i] += 1
            key = labels[e]
            if key < 0 or key >= n:
                continue
            text = texts[key]
            if text < 0:
                continue
            word = word_of_string[text]
            if word >= 0:
                words[e] = word
                masks[i] |= np.uint64(1) << np.uint64(word)
    return masks, counts, words


@nb.njit(cache=True)
def attribute_values(offsets, targets, kinds, words, counts, value_class, descriptor_class):
    """bool[n]: dicts of one key, a descriptor, whose value has the type that the descriptor promises.

    ``descriptor_class[w]`` is the value class for word *w* (bits 0…9).
    """
    n = offsets.size - 1
    found = np.zeros(n, np.bool_)
    for i in range(n):
        if counts[i] != 1 or value_class[i] != DICT:
            continue
        for e in range(offsets[i], offsets[i + 1]):
            word = words[e]
            if kinds[e] == _KEY and 0 <= word < 10:
                is_class = value_class[targets[e]]
                found[i] = is_class == descriptor_class[word] or (word == 2 and is_class == BINARY)
    return found


@nb.njit(cache=True)
def low_level_items(offsets, targets, kinds, labels, texts, words, value_class, is_value, starts_with_colon):
    """uint8[n]: 1 a dict whose every value is an attribute value, 2 the same below an ``M``, 3 a dict of
    expression values (keys that begin with a colon).
    """
    n = offsets.size - 1
    found = np.zeros(n, np.uint8)
    for i in range(n):
        if value_class[i] != DICT or is_value[i]:
            continue
        keys = 0
        whole = True
        colon = False
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] == _KEY:
                keys += 1
                if not is_value[targets[e]]:
                    whole = False
                    break
                key = labels[e]
                if 0 <= key < n and texts[key] >= 0 and starts_with_colon[texts[key]]:
                    colon = True
        if whole and keys > 0:
            found[i] = 3 if colon else 1
    for i in range(n):
        if is_value[i]:
            for e in range(offsets[i], offsets[i + 1]):
                if words[e] == 9 and found[targets[e]] == 1:
                    found[targets[e]] = 2
    return found


@nb.njit(cache=True)
def key_objects(offsets, targets, kinds, labels, value_class, is_code_or_tuple):
    """Per object: in how many dicts it is a key (int32[n]); whether a tuple or code names it (bool[n])."""
    n = offsets.size - 1
    uses = np.zeros(n, np.int32)
    literal = np.zeros(n, np.bool_)
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] == _KEY and 0 <= labels[e] < n:
                uses[labels[e]] += 1
            if is_code_or_tuple[i]:
                literal[targets[e]] = True
    return uses, literal


@nb.njit(cache=True)
def plain_dicts(offsets, targets, kinds, labels, value_class, key_uses, literal, texts, attribute_names):
    """What plain dicts with ``str`` keys are made of.

    Returns uint8[n], bits: 1 only values that DynamoDB's resource level gives; 2 a Decimal, Binary or set at
    once; 4 every key object is shared with another dict; 8 most keys are literals of the program; and
    float32[n], the share of keys that are known attribute names (0 for fewer than two keys).
    """
    n = offsets.size - 1
    facts = np.zeros(n, np.uint8)
    known = np.zeros(n, np.float32)
    for i in range(n):
        if value_class[i] != DICT:
            continue
        keys = 0
        names = 0
        literals = 0
        clean = True
        strong = False
        shared = True
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] != _KEY:
                continue
            key = labels[e]
            if key < 0 or key >= n or value_class[key] != STR:
                keys = 0
                break
            keys += 1
            literals += literal[key]
            shared = shared and key_uses[key] > 1
            if texts[key] >= 0:
                names += attribute_names[texts[key]]
            c = value_class[targets[e]]
            if c in (DECIMAL, BINARY):
                strong = True
            elif c not in (STR, BOOL, NONE, LIST, DICT, SET, BYTES):
                clean = False
        if keys == 0:
            continue
        facts[i] = (
            np.uint8(clean)
            | np.uint8(strong) << 1
            | np.uint8(shared) << 2
            | np.uint8(2 * literals > keys) << 3
        )
        if keys > 1:
            known[i] = names / keys
    return facts, known


@nb.njit(cache=True)
def instances(offsets, labels, kinds, attribute_names, special_names):
    """int32[n] attributes and slots in all, and int32[n] those that bear a known attribute name.

    ``special_names`` is bool[strings]: names that Python itself gives (``__class__``, ``__dict__``), not counted.
    """
    n = offsets.size - 1
    attributes = np.zeros(n, np.int32)
    names = np.zeros(n, np.int32)
    for i in range(n):
        for e in range(offsets[i], offsets[i + 1]):
            if (
                (kinds[e] == _ATTRIBUTE or kinds[e] == _SLOT)
                and labels[e] >= 0
                and not special_names[labels[e]]
            ):
                attributes[i] += 1
                names[i] += attribute_names[labels[e]]
    return attributes, names


@nb.njit(cache=True)
def item_lists(offsets, targets, kinds, value_class, is_item):
    """int32[n]: for lists and tuples the number of elements that are items, 0 unless nine in ten are."""
    n = offsets.size - 1
    found = np.zeros(n, np.int32)
    for i in range(n):
        if value_class[i] not in (LIST, TUPLE):
            continue
        items = 0
        elements = 0
        for e in range(offsets[i], offsets[i + 1]):
            if kinds[e] == _ITEM:
                elements += 1
                items += is_item[targets[e]]
        if items > 0 and 10 * items >= 9 * elements:
            found[i] = items
    return found


@nb.njit(cache=True)
def children_by_word(offsets, targets, words, objects, word):
    """int32[len(objects)]: the value below the key ``word`` of each object, -1 where it has none."""
    found = np.full(objects.size, -1, np.int32)
    for k in range(objects.size):
        for e in range(offsets[objects[k]], offsets[objects[k] + 1]):
            if words[e] == word:
                found[k] = targets[e]
    return found


@nb.njit(cache=True)
def content(offsets, targets, kinds, start, barrier, barrier_of_start):
    """bool[n]: what can be reached from ``start`` without passing through a barrier object.

    ``barrier`` is bool[n]: modules, classes, functions, frames, code: what a container only borrows. With
    ``barrier_of_start`` the first object may be one itself.
    """
    n = offsets.size - 1
    seen = np.zeros(n, np.bool_)
    stack = np.empty(1024, np.int32)
    top = 0
    for s in start:
        if not seen[s] and (barrier_of_start or not barrier[s]):
            seen[s] = True
            if top == stack.size:
                stack = np.concatenate((stack, np.empty_like(stack)))
            stack[top] = s
            top += 1
    while top > 0:
        top -= 1
        i = stack[top]
        for e in range(offsets[i], offsets[i + 1]):
            t = targets[e]
            if kinds[e] != _WEAK and not seen[t] and not barrier[t]:
                seen[t] = True
                if top == stack.size:
                    stack = np.concatenate((stack, np.empty_like(stack)))
                stack[top] = t
                top += 1
    return seen
