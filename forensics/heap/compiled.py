"""The loops over arrays, compiled by numba and kept on disk between runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba as nb
import numpy as np


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``numba.njit(cache=True, nogil=True)``; without the cache where no folder for it can be written.

    A site-packages folder that is read-only together with a home folder that is not there makes numba refuse
    ``cache=True`` outright; compiling anew in each process is slower and still right.
    """
    try:
        return nb.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return nb.njit(nogil=True)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """For small functions that kernels call for every byte: a call counts references to its arrays, this does not."""
    return nb.njit(inline="always", nogil=True)(function)


def frozen(array: np.ndarray) -> np.ndarray:
    """A contiguous read-only view (a copy only where the array is not contiguous).

    Kernels are compiled once for each combination of argument types, and numba counts read-only arrays as
    another type: all arrays of a graph are therefore handed over read-only.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
