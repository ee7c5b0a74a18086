"""Sixty-four bytes at a time: which of them are digits, which stand between numbers; and eight digits at a time.

A loop that looks at each byte waits for the one before it to know where it is, and guesses wrong at the end of most
numbers. Told by bit masks where numbers begin and end, the processor works on many at once. Source of the technique:
G. Langdale and D. Lemire, "Parsing gigabytes of JSON per second", VLDB Journal 28(6), 2019.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from forensics.heap.compiled import inlined

#: Bytes in a block.
WIDTH: Final = 64
#: Every bit of a mask.
ALL: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
ONE: Final = np.uint64(1)
_SEPARATORS = b", \n\r\t"
_ZEROS = np.uint64(0x3030_3030_3030_3030)
_PAIRS, _FOURS = np.uint64(0x00FF_00FF_00FF_00FF), np.uint64(0x0000_FFFF_0000_FFFF)
_EIGHT = np.uint64(0xFFFF_FFFF)


def _load(context: Any, builder: Any, signature: Any, arguments: Any, kind: ir.Type) -> Any:
    """What begins at ``array[index]``, wherever that lies."""
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    loaded = builder.load(builder.bitcast(builder.gep(data, [arguments[1]]), kind.as_pointer()))
    loaded.align = 1
    return loaded


def _masks(_typing_context: Any, array: Any, index: Any) -> Any:
    signature = types.UniTuple(types.uint64, 2)(array, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector, mask = ir.VectorType(ir.IntType(8), WIDTH), ir.IntType(64)
        block = _load(context, builder, signature, arguments, vector)

        def of(value: int) -> ir.Constant:
            return ir.Constant(vector, [value] * WIDTH)

        digits = builder.icmp_unsigned("<", builder.sub(block, of(ord("0"))), of(10))
        between = builder.icmp_unsigned("==", block, of(_SEPARATORS[0]))
        for separator in _SEPARATORS[1:]:
            between = builder.or_(between, builder.icmp_unsigned("==", block, of(separator)))
        found = [builder.bitcast(each, mask) for each in (digits, between)]
        return context.make_tuple(builder, signature.return_type, found)

    return signature, generate


def _word(_typing_context: Any, array: Any, index: Any) -> Any:
    signature = types.uint64(array, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(context, builder, signature, arguments, ir.IntType(64))

    return signature, generate


def _lowest(_typing_context: Any, mask: Any) -> Any:
    signature = types.int64(types.uint64)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return signature, generate


#: ``masks(data, at)``: (digits, separators) among ``data[at : at + 64]``, the first byte in the lowest bit. Nothing
#: is checked: all 64 have to be there.
masks: Any = intrinsic(_masks)
_word_at: Any = intrinsic(_word)
#: ``lowest(mask)``: the number of the lowest bit that is set; 64 where none is.
lowest: Any = intrinsic(_lowest)


@inlined
def digits_before(data, end, count):
    """The number that the last ``count`` bytes before ``end`` are the digits of: 1 to 8, and 8 bytes are there."""
    others = np.uint64(8 * (8 - count))
    # The first digit is in the lowest byte: neighbours are put together into pairs, these into fours, these into one.
    word = ((_word_at(data, end - 8) ^ _ZEROS) >> others) << others
    word = (word * np.uint64(10) + (word >> np.uint64(8))) & _PAIRS
    word = (word * np.uint64(100) + (word >> np.uint64(16))) & _FOURS
    return np.int64((word * np.uint64(10_000) + (word >> np.uint64(32))) & _EIGHT)
