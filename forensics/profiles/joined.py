"""Allocated here, held there: the elements of a holder matched to the stacks that allocated them.

Three ways, the surest that the capture allows is taken:

``addresses``  memray's blocks live at the end, in which the objects of the snapshot lie
``tracer``     the tracer's notes for responses below the holder, and the stacks that pass the noted line
``shape and time``  DynamoDB allocations against DynamoDB data held, by their size alone
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from forensics import units
from forensics.agent.stream import EdgeKind
from forensics.heap.graph import HeapGraph
from forensics.profiles.model import AllocationProfile
from forensics.profiles.naming import Operations, Place, place_of_stack

Way = Literal["addresses", "tracer", "shape and time", "none"]

#: An object's own address lies behind the collector's header and, from 3.11 on, its inline values' pointers.
LARGEST_HEADER = 64
#: A snapshot and a profile whose ends lie further apart than this many seconds may speak of other objects.
SAME_TIME = 5.0
#: A guess by size and time alone is never believed more than this.
MOST_BY_SHAPE = 0.5

_STOP = frozenset("module type function code builtin_function_or_method frame method".split())


@dataclass(frozen=True)
class AllocatedAt:
    """One place that allocated a part of what is held: how many objects, and their bytes in the heap."""

    place: Place
    objects: int
    bytes: int
    share: float


@dataclass(frozen=True)
class Joint:
    """Where what a holder keeps was allocated.

    Attributes
    ----------
    held_by : the holder's path
    held_bytes, held_objects : bytes and number of the objects that were looked for
    allocated_at : the places, the largest first; their shares are of ``held_bytes``
    way : how the two sides were matched
    confidence : 0…1, how sure the first place is
    because : why, with the numbers
    """

    held_by: str
    held_bytes: int
    allocated_at: tuple[AllocatedAt, ...]
    way: Way
    confidence: float
    because: str
    held_objects: int = 0

    @property
    def text(self) -> str:
        """One line for a finding's evidence."""
        if not self.allocated_at:
            return f"held by {self.held_by}; where it was allocated is not known: {self.because}"
        first = self.allocated_at[0]
        return (
            f"allocated at {first.place.text}, held by {self.held_by} "
            f"({first.share:.0%} of {units.size(self.held_bytes)}, by {self.way}, confidence {self.confidence:.2f})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row for each place."""
        return pd.DataFrame(
            {
                "place": [each.place.text for each in self.allocated_at],
                "operation": [each.place.operation for each in self.allocated_at],
                "objects": [each.objects for each in self.allocated_at],
                "bytes": [each.bytes for each in self.allocated_at],
                "share": [each.share for each in self.allocated_at],
            }
        )

    def __repr__(self) -> str:
        return f"<Joint {self.text}; {self.because}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.text)}; {html.escape(self.because)}</p>{self.to_pandas().to_html(index=False)}"


def join(
    graph: HeapGraph,
    containers: Iterable[int],
    profile: AllocationProfile,
    *,
    held_by: str,
    time: float | None = None,
    responses: pd.DataFrame | None = None,
    operations: Operations | None = None,
) -> Joint:
    """Match what containers hold to where it was allocated.

    Parameters
    ----------
    graph : a snapshot
    containers : objects whose elements are looked for, such as ``Holder.objects``
    profile : allocations of the same process; with ``addresses`` where memray's file was loaded with them
    held_by : the holder's path, for people
    time : of the snapshot, seconds since the epoch
    responses : the tracer's notes at that snapshot
    operations : hints which line calls which operation
    """
    return join_objects(
        graph,
        contents(graph, containers),
        profile,
        held_by=held_by,
        time=time,
        responses=responses,
        operations=operations,
    )


def join_objects(
    graph: HeapGraph,
    inside: np.ndarray,
    profile: AllocationProfile,
    *,
    held_by: str,
    time: float | None = None,
    responses: pd.DataFrame | None = None,
    operations: Operations | None = None,
    recent: float = 1.0,
) -> Joint:
    """The same for the objects themselves, int32[k], where it is known already what a holder keeps.

    ``recent`` is the share of their bytes that came while the profile was recorded, where that is known: no more
    than that can be found by address, and all of it is certain.
    """
    size = int(graph.shallow_sizes[inside].sum())
    if not len(inside):
        return Joint(held_by, 0, (), "none", 0.0, "it holds no objects of its own")
    for attempt in (
        _by_address(graph, inside, profile, time, operations, recent),
        _by_tracer(graph, inside, profile, responses, operations),
        _by_shape(size, profile, operations),
    ):
        if attempt is not None:
            way, places, confidence, because = attempt
            return Joint(held_by, size, places, way, round(confidence, 2), because, len(inside))
    return Joint(
        held_by, size, (), "none", 0.0, "the profile has no stack that allocates DynamoDB data", len(inside)
    )


def contents(graph: HeapGraph, containers: Iterable[int]) -> np.ndarray:
    """int32[k]: the elements of the containers and what hangs on them alone, ascending.

    An element counts whoever else holds it; what is below it counts where the dominator tree says that it goes
    with the element.
    """
    tops = np.unique(np.fromiter(containers, np.int64))
    inside = np.zeros(len(graph), bool)
    names = graph.type_names.to_pylist()
    for container in tops:
        span = slice(int(graph.offsets[container]), int(graph.offsets[container + 1]))
        targets = graph.targets[span][graph.kinds[span] != EdgeKind.WEAK]
        inside[[each for each in targets.tolist() if names[graph.types[each]] not in _STOP]] = True
    inside[tops] = False
    immediate = graph.immediate_dominators()
    known = np.flatnonzero(immediate >= 0)
    order = known[np.argsort(immediate[known], kind="stable")]
    starts = np.searchsorted(immediate[order], np.arange(len(graph) + 1))
    frontier = np.flatnonzero(inside)
    while len(frontier):
        lengths = starts[frontier + 1] - starts[frontier]
        positions = np.repeat(starts[frontier] - np.concatenate([[0], lengths.cumsum()[:-1]]), lengths)
        children = order[positions + np.arange(int(lengths.sum()))]
        frontier = children[~inside[children]]
        inside[frontier] = True
    return np.flatnonzero(inside).astype(np.int32)


Attempt = tuple[Way, tuple[AllocatedAt, ...], float, str]


def _by_address(
    graph: HeapGraph,
    inside: np.ndarray,
    profile: AllocationProfile,
    time: float | None,
    operations: Operations | None,
    recent: float,
) -> Attempt | None:
    if profile.addresses is None or not profile.addresses.num_rows:
        return None
    starts = profile.addresses["address"].to_numpy()
    sizes = profile.addresses["size"].to_numpy().astype(np.uint64)
    stacks = profile.addresses["stack"].to_numpy()
    objects = graph.addresses[inside].astype(np.uint64)
    at = np.searchsorted(starts, objects, side="right") - 1
    block = np.maximum(at, 0)
    begins, length = starts[block], sizes[block]
    # The nearest block below must hold the object, and the object must begin with it: no arena of many objects.
    found = (
        (at >= 0) & (objects < begins + length) & (objects - np.minimum(begins, objects) <= LARGEST_HEADER)
    )
    share = float(graph.shallow_sizes[inside[found]].sum() / max(graph.shallow_sizes[inside].sum(), 1))
    if share < 0.05:
        return None
    places = _places(
        profile, stacks[block[found]], graph.shallow_sizes[inside[found]], inside, graph, operations
    )
    end = profile.origin.end
    late = time is not None and end is not None and abs(time - end) > SAME_TIME
    why = f"{found.sum():,} of {len(inside):,} objects lie in blocks that memray saw allocated"
    if not found.all():
        why += "; what is older than the recording, or shared by the interpreter, does not"
    if late and time is not None and end is not None:
        why += (
            f"; the snapshot and the profile are {abs(time - end):.0f} s apart, and addresses are used again"
        )
    sure = min(places[0].share / max(recent, 0.05), 1.0)
    return "addresses", places, sure * (0.7 if late else 0.98), why


def _places(
    profile: AllocationProfile,
    stacks: np.ndarray,
    sizes: np.ndarray,
    inside: np.ndarray,
    graph: HeapGraph,
    operations: Operations | None,
) -> tuple[AllocatedAt, ...]:
    total = max(int(graph.shallow_sizes[inside].sum()), 1)
    counts: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    places: dict[str, Place] = {}
    distinct, inverse = np.unique(stacks, return_inverse=True)
    by_stack = np.zeros(len(distinct), np.int64)
    np.add.at(by_stack, inverse, sizes)
    for stack, number, size in zip(distinct, np.bincount(inverse), by_stack, strict=True):
        place = place_of_stack(profile, int(stack), operations)
        places.setdefault(place.text, place)
        counts[place.text] += int(number)
        weights[place.text] += int(size)
    return tuple(
        AllocatedAt(places[text], counts[text], size, size / total) for text, size in weights.most_common()
    )


def _by_tracer(
    graph: HeapGraph,
    inside: np.ndarray,
    profile: AllocationProfile,
    responses: pd.DataFrame | None,
    operations: Operations | None,
) -> Attempt | None:
    if responses is None or not len(responses) or "tag_address" not in responses:
        return None
    tags = responses["tag_address"].to_numpy(np.uint64)
    mine = responses[np.isin(tags, graph.addresses[inside])]
    if not len(mine):
        return None
    calls = Counter(zip(mine["file"], mine["line"], mine["operation"], strict=True))
    hints = {
        **(operations or {}),
        **{(str(file), int(line)): str(name) for file, line, name in calls if pd.notna(line)},
    }
    sizes, numbers = profile.by_stack()
    lines = {(str(file), int(line)) for file, line, _ in calls if pd.notna(line)}
    rows: dict[str, tuple[Place, int, int]] = {}
    for stack in np.flatnonzero(sizes):
        if any((frame.file, frame.line) in lines for frame in profile.stack(int(stack))):
            place = place_of_stack(profile, int(stack), hints)
            _, count, size = rows.get(place.text, (place, 0, 0))
            rows[place.text] = (place, count + int(numbers[stack]), size + int(sizes[stack]))
    if not rows:
        return None
    total = sum(size for _, _, size in rows.values())
    ranked = sorted(rows.values(), key=lambda row: -row[2])
    held = tuple(AllocatedAt(place, count, size, size / total) for place, count, size in ranked)
    why = f"the tracer noted the call of {len(mine):,} responses below it, and stacks pass that line"
    return "tracer", held, 0.9 * held[0].share, why


def _by_shape(size: int, profile: AllocationProfile, operations: Operations | None) -> Attempt | None:
    sizes, numbers = profile.by_stack()
    rows: dict[str, tuple[Place, int, int]] = {}
    for stack in np.flatnonzero(sizes):
        place = place_of_stack(profile, int(stack), operations)
        if place.dynamodb:
            _, count, weight = rows.get(place.text, (place, 0, 0))
            rows[place.text] = (place, count + int(numbers[stack]), weight + int(sizes[stack]))
    if not rows or not size:
        return None
    ranked = sorted(rows.values(), key=lambda row: -row[2])
    total = sum(row[2] for row in ranked)
    held = tuple(AllocatedAt(place, count, weight, weight / total) for place, count, weight in ranked)
    first = ranked[0][2]
    likeness = min(size, first) / max(size, first, 1)
    why = (
        f"no address and no tracer's note joins them; the place has {units.size(first)} live of DynamoDB data, "
        f"{held[0].share:.0%} of all such"
    )
    return "shape and time", held, MOST_BY_SHAPE * likeness * held[0].share, why
