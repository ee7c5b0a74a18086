"""The course of a holder over snapshots: its bytes and its elements judged together, for whoever reads a diff.

The rules judge suspects by means of their own; what is here decides no finding.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forensics.findings import GrowthShape

from .series import SURENESS, shape_of, slope

if TYPE_CHECKING:
    from .diff import HeapDiff, HolderSeries
    from .graph import HeapGraph

#: A change below this part of the largest value is noise.
_NOISE = 0.02
#: A last rise below this part of the largest before it says that the growth has come to an end.
_SETTLED = 0.1
#: A rise below this part of another makes the growth uneven.
_UNEVEN = 0.25
#: What grows by less than this part while its elements stay as many: elements differ in size.
_SLIGHT = 0.25
#: What is left of the confidence where one thing speaks against the shape, and where the shape rests on one step.
_AGAINST, _ONE_STEP = 0.8, 0.5


def course_of(elements: Sequence[int], sizes: Sequence[int]) -> tuple[GrowthShape, float]:
    """(shape, confidence 0…1) of one holder by its elements and its retained bytes in each snapshot.

    What holds more bytes in the end is never shrinking, what holds fewer is never growing. Of three snapshots or
    more, growing needs a rise in more than one interval: a single step before the last interval is a plateau, one
    in the last is unknown, for nobody has seen yet whether it goes on.
    """
    sure = SURENESS.get(len(sizes), 0.97)
    if len(sizes) < 2:
        return "unknown", 0.0
    more, by_elements = _net(sizes), _net(elements)
    if more == 0 and not _moves(sizes):
        # The same bytes: elements that come or go weigh nothing themselves.
        if by_elements > 0 and _rises(elements) > 1:
            return "growing", sure * _ONE_STEP
        return "plateau", sure if by_elements == 0 else sure * _AGAINST
    shape, confidence = shape_of(sizes)
    if shape == "sawtooth":
        return shape, confidence
    if more < 0:
        return "shrinking", sure if by_elements <= 0 else sure * _ONE_STEP
    if more == 0:
        return "plateau", sure * _AGAINST
    rises = _rises(sizes)
    if len(sizes) > 2 and rises < 2 and not (by_elements > 0 and _rises(elements) > 1):
        grew_last = sizes[-1] - sizes[-2] > _NOISE * max(sizes)
        return ("unknown", sure * _ONE_STEP) if grew_last else ("plateau", sure * _AGAINST)
    return _growing(elements, sizes, sure, by_elements, shape)


def _growing(
    elements: Sequence[int], sizes: Sequence[int], sure: float, by_elements: int, shape: GrowthShape
) -> tuple[GrowthShape, float]:
    """Growing, or a plateau where it has settled; less sure by whatever speaks against it."""
    steps = np.diff(np.asarray(sizes, np.float64))
    settled = len(steps) > 1 and steps[-1] <= _SETTLED * steps[:-1].max()
    if settled and not (by_elements > 0 and elements[-1] > elements[-2]):
        return "plateau", sure * _AGAINST
    against = (
        by_elements < 0,
        shape != "growing",
        len(steps) > 1 and steps.min() < _UNEVEN * steps.max(),
        by_elements == 0 and sizes[-1] - sizes[0] < _SLIGHT * sizes[0],
    )
    return "growing", float(sure * _AGAINST ** sum(against))


def _net(values: Sequence[int]) -> int:
    """1, 0 or -1: more, as many or fewer in the end than in the beginning."""
    change = values[-1] - values[0]
    return 0 if abs(change) <= _NOISE * max(values) else 1 if change > 0 else -1


def _moves(values: Sequence[int]) -> bool:
    return max(values) - min(values) > _NOISE * max(values)


def _rises(values: Sequence[int]) -> int:
    """Intervals in which it grew by more than noise of all that it changed by, and of the value itself."""
    least = _NOISE * (max(values) - min(values))
    return sum(
        after - before > max(least, _NOISE * before / 2) for before, after in itertools.pairwise(values)
    )


# -- the rows of a diff ------------------------------------------------------------------------------------------

#: The elements are further down, as in a linked list or a table of lists, where they are so many times more.
_DEEPER = 10
#: What a container did by itself is nothing where it is less than this part of what is told of it.
_LITTLE = 0.05


def told(found: HeapDiff, graphs: Sequence[HeapGraph]) -> HeapDiff:
    """The same diff with the elements that each row's container has itself, and its shape by bytes and elements.

    ``graphs`` are the snapshots that it was made of, in the same order.
    """
    paths = frozenset(series.path for series in found.holders)
    rows = [_told(series, graphs, found.times, paths) for series in found.holders]
    rows.sort(key=lambda s: (s.shape != "growing", -max(s.grown_bytes, 0), -s.bytes[-1], s.path))
    return replace(found, holders=tuple(rows))


def _told(
    series: HolderSeries, graphs: Sequence[HeapGraph], times: Sequence[float] | None, paths: frozenset[str]
) -> HolderSeries:
    elements, sizes = series.elements, series.bytes
    own = _own_elements(series, graphs)
    if own is not None:
        alone = _alone(series, graphs)
        if not _moves(own) and _is_of_others(series, own, alone, paths):
            sizes = alone
        elements = own
    shape, confidence = course_of(elements, sizes)
    return replace(
        series,
        elements=elements,
        bytes=sizes,
        shape=shape,
        confidence=round(confidence, 2),
        bytes_per_second=slope(sizes, times),
        elements_per_second=slope(elements, times),
    )


def _own_elements(series: HolderSeries, graphs: Sequence[HeapGraph]) -> tuple[int, ...] | None:
    """The population of the container in each snapshot; None where its elements are no references of its own.

    Those are garbage, what is no container, and elements further down that nothing else shares: nodes of a linked
    list, entries of a table's lists.
    """
    if series.retainer.kind == "unreachable-cycle":
        return None
    own = tuple(
        int(graph.populations()[i]) if i >= 0 else 0 for graph, i in zip(graphs, series.objects, strict=True)
    )
    deeper = not series.also_held_by and all(
        count >= _DEEPER * each for count, each in zip(series.elements, own, strict=True)
    )
    return own if any(own) and not deeper else None


def _alone(series: HolderSeries, graphs: Sequence[HeapGraph]) -> tuple[int, ...]:
    """What the container retains without co-holders, in each snapshot."""
    return tuple(
        int(graph.retained_sizes()[i]) if i >= 0 else 0
        for graph, i in zip(graphs, series.objects, strict=True)
    )


def _is_of_others(
    series: HolderSeries, own: tuple[int, ...], alone: tuple[int, ...], paths: frozenset[str]
) -> bool:
    """Whether bytes that moved while the container did nothing are told in another row, or compare unlike things.

    Each snapshot's holders are found for themselves: a container may be counted with what else hangs on its
    variable in one snapshot, and by itself in the next, where all of it is too little for a holder.
    """
    moved = max(series.bytes) - min(series.bytes)
    if not _moves(series.bytes) or max(alone) - min(alone) > _LITTLE * moved:
        return False
    above = tuple(f"{path}{mark}" for path in paths if path != series.path for mark in ".[")
    if any(path in paths or path.startswith(above) for path in series.also_held_by):
        return True
    if own == series.elements:
        return False
    together = [size for size, each in zip(series.bytes, alone, strict=True) if size != each]
    return len(together) < len(series.bytes) and (len(together) < 2 or not _moves(together))
