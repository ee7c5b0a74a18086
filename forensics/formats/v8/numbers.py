"""The whole numbers of a snapshot, from the file's digits: a file of 480 MB has a hundred million of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from forensics.formats.v8.blocks import ALL, ONE, WIDTH, digits_before, lowest, masks
from forensics.heap.compiled import compiled

#: No number of a snapshot has more digits.
_MOST: Final = 18
_EIGHT_DIGITS: Final = 100_000_000


@compiled
def read_numbers(data, at, stop, out, filled):
    """(offset, numbers in ``out``): from ``at`` on until ``out`` is full or something else than a number comes.

    Reading stops within a block of 64 bytes from ``stop``; an offset before it, and room left, say that something else
    stands there. A number may have a sign and 18 digits; commas and white space, as many as there are, stand between.

    Parameters
    ----------
    out : int64[k], of which ``filled`` are there already
    """
    while filled < out.size:
        at, filled = _plain(data, at, stop, out, filled)
        if filled == out.size:
            break
        at = _beyond_separators(data, at, stop)
        if at >= stop:
            break
        number, after = _next(data, at)
        if after < 0:
            break
        out[filled] = number
        filled += 1
        at = after
    return at, filled


@compiled
def _plain(data, at, stop, out, filled):
    """The same as far as there are blocks of nothing but digits and separators, and numbers of up to 16 digits."""
    if at < WIDTH:  # digits are looked up together with what stands before them
        return at, filled
    begin = at
    inside = np.uint64(0)  # whether a number began in an earlier block: at ``begin``
    while at < stop and at + WIDTH <= data.size:
        digits, separators = masks(data, at)
        if digits | separators != ALL:
            break
        after_digit = (digits << ONE) | inside
        starts, ends = digits & ~after_digit, ~digits & after_digit
        while ends:
            end = at + lowest(ends)
            ends &= ends - ONE
            if inside:
                inside = np.uint64(0)
            else:
                begin = at + lowest(starts)
                starts &= starts - ONE
            length = end - begin
            if length <= 8:
                number = digits_before(data, end, length)
            elif length <= 16:
                number = digits_before(data, end - 8, length - 8) * _EIGHT_DIGITS
                number += digits_before(data, end, 8)
            else:
                return begin, filled
            out[filled] = number
            filled += 1
            if filled == out.size:
                return end, filled
        if starts:
            begin = at + lowest(starts)
        inside = digits >> np.uint64(WIDTH - 1)
        at += WIDTH
    return (begin if inside else at), filled


@compiled
def _next(data, at):
    """(number, offset after it), a byte at a time; offset -1 where none begins."""
    negative = data[at] == 45
    if negative:
        at += 1
    begin = at
    number = np.int64(0)
    while at < data.size and 48 <= data[at] <= 57:
        number = number * 10 + (data[at] - 48)
        at += 1
    if negative:
        number = -number
    return number, (at if 0 < at - begin <= _MOST else np.int64(-1))


@compiled
def _beyond_separators(data, at, stop):
    while at < stop and (
        data[at] == 44 or data[at] == 32 or data[at] == 10 or data[at] == 13 or data[at] == 9
    ):
        at += 1
    return at
