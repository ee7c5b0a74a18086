"""What in retained data looks like secrets: kinds, counts, and for how long it has been kept; never a value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forensics.capture.masking import SECRET_KINDS, SECRET_SHIFT
from forensics.dynamodb.recognise import recognise
from forensics.dynamodb.vocabulary import Kind
from forensics.heap.graph import HeapGraph
from forensics.rules.content import content

#: Of so many responses, the oldest first, it is asked which secrets they hold; the older ones decide.
MOST_RESPONSES = 50


def secrets_in(graph: HeapGraph, inside: np.ndarray) -> dict[str, int]:
    """How many values inside look like which kind of secret; from the classes that masking left."""
    counts = np.bincount(_kinds(graph)[inside], minlength=len(SECRET_KINDS))
    return {
        SECRET_KINDS[k]: int(n) for k, n in enumerate(counts.tolist()) if k and n and k < len(SECRET_KINDS)
    }


def seconds_kept(
    snapshots: Sequence[HeapGraph],
    seconds: Sequence[float],
    inside: np.ndarray,
    responses: pd.DataFrame | None = None,
) -> dict[str, float]:
    """For how long, at least, the oldest secret of each kind has been kept, in seconds; 0 for what just came.

    A value is the same one where its address, its length, its kind and its keyed hash are. Where the tracer ran, the
    time of the response that a secret came in is older still.

    Parameters
    ----------
    snapshots, seconds : oldest first, with their times
    inside : bool[n], what is retained in the last snapshot
    responses : the tracer's notes for the last snapshot
    """
    last = snapshots[-1]
    now = np.flatnonzero(inside & (_kinds(last) > 0))
    kept = {SECRET_KINDS[k]: 0.0 for k in np.unique(_kinds(last)[now]).tolist() if k < len(SECRET_KINDS)}
    for snapshot, moment in zip(snapshots[:-1], seconds, strict=False):
        there = _kinds(last)[now[_was_in(snapshot, last, now)]]
        for k in np.unique(there).tolist():
            if k < len(SECRET_KINDS):
                kept[SECRET_KINDS[k]] = max(kept[SECRET_KINDS[k]], seconds[-1] - moment)
    for kind, age in _by_tags(last, inside, responses).items():
        kept[kind] = max(kept.get(kind, 0.0), age)
    return kept


def _kinds(graph: HeapGraph) -> np.ndarray:
    """uint16[n]: the kind of secret each value looks like, 0 for none."""
    return graph.value_classes >> SECRET_SHIFT


def _was_in(earlier: HeapGraph, last: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """bool[len(objects)]: the same value lay at the same address in the earlier snapshot."""
    candidates = np.flatnonzero(_kinds(earlier) > 0)
    if not len(candidates) or not len(objects):
        return np.zeros(len(objects), np.bool_)
    candidates = candidates[np.argsort(earlier.addresses[candidates])]
    known = earlier.addresses[candidates]
    at = candidates[np.minimum(np.searchsorted(known, last.addresses[objects]), len(known) - 1)]
    return (
        (earlier.addresses[at] == last.addresses[objects])
        & (earlier.lengths[at] == last.lengths[objects])
        & (_kinds(earlier)[at] == _kinds(last)[objects])
        & (earlier.value_hashes[at] == last.value_hashes[objects])
    )


def _by_tags(graph: HeapGraph, inside: np.ndarray, responses: pd.DataFrame | None) -> dict[str, float]:
    """Seconds since the oldest tagged response that is inside and holds a secret of each kind."""
    now = float(graph.meta.get("time", 0) or 0)
    if responses is None or not len(responses) or "tag_address" not in responses or not now:
        return {}
    whole = recognise(graph).of(Kind.RESPONSE)
    of_tag = _responses_of_tags(graph, whole[inside[whole]])
    tagged = responses[responses["tag_address"].isin(list(of_tag))].sort_values("time").head(MOST_RESPONSES)
    found: dict[str, float] = {}
    for address, moment in zip(tagged["tag_address"], tagged["time"], strict=True):
        response = np.array([of_tag[int(address)]], np.int32)
        for kind in secrets_in(graph, content(graph, response)):
            found.setdefault(kind, max(0.0, now - float(moment)))
    return found


def _responses_of_tags(graph: HeapGraph, responses: np.ndarray) -> dict[int, int]:
    """Address of whatever a response's ``ResponseMetadata`` refers to, its tag among them → the response."""
    metadata = recognise(graph).of(Kind.METADATA)
    found = {}
    for response in responses.tolist():
        below = graph.targets[graph.offsets[response] : graph.offsets[response + 1]]
        for each in below[np.isin(below, metadata)].tolist():
            inner = graph.targets[graph.offsets[each] : graph.offsets[each + 1]]
            found.update(dict.fromkeys(graph.addresses[inner].tolist(), response))
    return found
