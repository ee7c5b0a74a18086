"""Ask the processor for memory before it is needed.

Graph algorithms on ten million objects wait for memory most of the time: which line comes next is known well before
it is used, but not to the processor, for it stands behind another look-up. LLVM's ``llvm.prefetch`` says so.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1


def _prefetch(_typing_context: Any, array: Any, index: Any) -> Any:
    signature = types.void(array, types.int64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(function, [place, word(_READ), word(_KEEP), word(_DATA)])
        return context.get_dummy_value()

    return signature, generate


#: ``prefetch(array, index)``: bring the cache line of ``array[index]``; a wrong index costs time and does no harm.
prefetch: Any = intrinsic(_prefetch)
