"""Allocated here, held there: what the allocation profile of the same time adds to a finding's evidence."""

from __future__ import annotations

import numpy as np

from forensics import units
from forensics.findings import Retainer
from forensics.profiles.joined import AllocatedAt, Joint, Way, join_objects
from forensics.profiles.model import AllocationProfile
from forensics.profiles.naming import operations_of
from forensics.rules.content import content
from forensics.rules.evidence import Evidence
from forensics.rules.suspect import Suspect

#: Places with a smaller share of what is held are not worth a line, nor more lines than this.
LEAST_SHARE = 0.05
MOST_PLACES = 3
#: The recording and the first snapshot began together where they are no more seconds apart.
BEGAN_TOGETHER = 1.0

_BY: dict[Way, str] = {
    "addresses": "by address",
    "tracer": "by the tracer's tags",
    "shape and time": "by shape and time",
    "none": "",
}


def joint_of(suspect: Suspect, evidence: Evidence) -> Joint | None:
    """Where what a suspect keeps was allocated; None where the capture holds no profile of live blocks.

    A profile with addresses speaks for everything; one without only for DynamoDB data, which its stacks show.
    """
    profile = _profile(evidence)
    if profile is None or not len(evidence.snapshots):
        return None
    if profile.addresses is None and not suspect.is_dynamodb:
        return None
    tops = suspect.members if len(suspect.members) else np.array([suspect.container], np.int32)
    if tops[0] < 0:
        return None
    inside = np.flatnonzero(content(evidence.snapshots[-1], tops)).astype(np.int32)
    return _join(inside, suspect, evidence, profile)


def allocated_lines(suspect: Suspect, retainer: Retainer, evidence: Evidence) -> tuple[str, ...]:
    """The lines of evidence: who holds it, then who allocated it, with share, confidence, and by what it is known."""
    joint = joint_of(suspect, evidence)
    if joint is None:
        return ()
    if not joint.allocated_at:
        return (f"allocated here: not known, {joint.because}",)
    where = "" if retainer.file is None else f", {retainer.file}:{retainer.line}"
    kept = f"{joint.held_objects:,} objects of {units.size(joint.held_bytes)}"
    lines = [f"held there: {retainer.path} ({retainer.kind}{where}), {kept}"]
    for number, each in enumerate(joint.allocated_at[:MOST_PLACES]):
        if number and each.share < LEAST_SHARE:
            break
        sure = f", confidence {joint.confidence:.2f}" if not number else ""
        of = _share(joint, each, suspect, evidence)
        lines.append(f"allocated here: {each.place.text}, {of}{sure}, {_BY[joint.way]}")
    lines.append(f"joined {_BY[joint.way]}: {joint.because}")
    return tuple(lines)


def _share(joint: Joint, place: AllocatedAt, suspect: Suspect, evidence: Evidence) -> str:
    """How much of it came from that place: elements by their own blocks, else bytes of whole stacks."""
    if joint.way != "addresses":
        return f"{place.share:.0%} of what such stacks keep live"
    profile = _profile(evidence)
    if not len(suspect.members) or profile is None:
        return f"{place.objects:,} of {joint.held_objects:,} objects"
    of_elements = _join(suspect.members, suspect, evidence, profile)
    here = sum(each.objects for each in of_elements.allocated_at if each.place.text == place.place.text)
    here = here if of_elements.way == "addresses" else 0
    return f"{here:,} of {len(suspect.members):,} elements, {place.share:.0%} of the bytes"


def _join(objects: np.ndarray, suspect: Suspect, evidence: Evidence, profile: AllocationProfile) -> Joint:
    times = list(evidence.times)
    return join_objects(
        evidence.snapshots[-1],
        objects,
        profile,
        held_by=suspect.path,
        time=float(times[-1]) if times else None,
        responses=evidence.responses_of(len(evidence.snapshots) - 1),
        operations=operations_of(evidence.responses, evidence.sources),
        recent=_recent(suspect, evidence, profile),
    )


def _recent(suspect: Suspect, evidence: Evidence, profile: AllocationProfile) -> float:
    """The share of a suspect's bytes that came while the profile was recorded, 1 where nothing tells."""
    times, start, end = list(evidence.times), profile.origin.start, profile.origin.end
    if (
        len(times) != len(suspect.sizes)
        or len(times) < 2
        or start is None
        or end is None
        or not suspect.sizes[-1]
    ):
        return 1.0
    before, after = (float(each) for each in np.interp([start, end], times, suspect.sizes))
    if start < times[0] - BEGAN_TOGETHER:
        before = 0.0  # it may have seen all that was there at the first snapshot
    return float(np.clip((after - before) / suspect.sizes[-1], 0.0, 1.0)) or 1.0


def _profile(evidence: Evidence) -> AllocationProfile | None:
    """The profile to ask: the last with addresses, else the last of live bytes."""
    known = [
        each
        for each in evidence.profiles
        if isinstance(each, AllocationProfile)
        and "live" in each.measures
        and each.origin.stacks_are == "allocations"
    ]
    exact = [each for each in known if each.addresses is not None]
    usable = exact or known
    return usable[-1] if usable else None
