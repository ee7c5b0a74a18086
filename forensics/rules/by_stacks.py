"""Findings by allocation stacks, for captures that hold no object graph (Go, Rust, imported profiles).

A stack tells who allocated and not who holds: the finding names the application's own line that asked for the
memory, and says so. Two profiles tell growth; one alone is never more than medium.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from forensics import units
from forensics.findings import DynamoDB, Finding, Growth, Remediation, Retainer
from forensics.profiles.diff import ERRORS
from forensics.profiles.model import AllocationProfile
from forensics.profiles.naming import Place, operations_of, place_of_stack
from forensics.profiles.room import Room
from forensics.rules.evidence import Evidence
from forensics.rules.stacks import STACK_RULES, StackRule

#: Growth between the first and the last profile below this, or within the sampling error, is none.
LEAST_BYTES = 1 << 20
LEAST_SHARE = 0.02
#: Without a second profile: this share of all live bytes is worth a look.
LARGE_SHARE = 0.2


@dataclass
class _Site:
    place: Place
    rule: StackRule
    first: float = 0.0
    last: float = 0.0
    objects: int = 0
    stacks: set[int] = field(default_factory=set)


def by_stacks(evidence: Evidence) -> list[Finding]:
    """Findings out of the allocation profiles of a capture without object graphs; numbered by the caller."""
    profiles = [
        each for each in evidence.profiles if isinstance(each, AllocationProfile) and "live" in each.measures
    ]
    if not profiles or len(evidence.snapshots):
        return []
    first, last = profiles[0], profiles[-1]
    hints = operations_of(evidence.responses, evidence.sources)
    sites: dict[tuple[str, str], _Site] = {}
    for profile in [first, last] if len(profiles) > 1 else [last]:
        sizes, counts = profile.by_stack("live")
        for stack in np.flatnonzero(sizes):
            place = place_of_stack(profile, int(stack), hints)
            rule = _rule(profile, int(stack), place)
            if rule is None:
                continue
            site = sites.setdefault((rule.id, place.text), _Site(place, rule))
            if profile is last:
                site.last += float(sizes[stack])
                site.objects += int(counts[stack])
            else:
                site.first += float(sizes[stack])
    two = len(profiles) > 1
    found = [
        _finding(site, evidence, first, last, two)
        for site in sites.values()
        if _worth_it(site, first, last, two)
    ]
    return sorted(found, key=lambda each: -each.retained_bytes)


def _rule(profile: AllocationProfile, stack: int, place: Place) -> StackRule | None:
    frames = profile.stack(stack)
    span = slice(int(profile.stack_offsets[stack]), int(profile.stack_offsets[stack + 1]))
    rooms = [Room(int(profile.rooms[each])) for each in profile.stack_frames[span]]
    for rule in STACK_RULES:
        if profile.origin.runtime in rule.runtimes and rule.fits(frames, rooms, place.dynamodb):
            return rule
    return None


def _worth_it(site: _Site, first: AllocationProfile, last: AllocationProfile, two: bool) -> bool:
    total = max(last.total("live"), 1)
    if not two:
        return site.last >= max(LARGE_SHARE * total, LEAST_BYTES) and site.rule.id != "L03"
    period = max(first.origin.sampling_period or 0, last.origin.sampling_period or 0)
    error = ERRORS * float(np.sqrt(period * (site.first + site.last)))
    return site.last - site.first > max(LEAST_BYTES, LEAST_SHARE * total, error)


def _finding(
    site: _Site, evidence: Evidence, first: AllocationProfile, last: AllocationProfile, two: bool
) -> Finding:
    seconds = (last.origin.start or 0.0) - (first.origin.start or 0.0) if two and first.origin.start else 0.0
    rate = (site.last - site.first) / seconds if seconds > 0 else None
    frame = site.place.frame
    share = site.last / max(last.total("live"), 1)
    words = f"{units.size(site.last)} live, {share:.0%} of the live heap"
    grew = f"grew from {units.size(site.first)} to {units.size(site.last)} between the first and the last profile"
    own = site.place.room == Room.APPLICATION
    counted = last.measures["live"].counts is not None
    return Finding(
        id="",
        rule=site.rule.id,
        title=f"{site.place.text} allocates {words} that {'grows' if two else 'stays'}: {site.rule.title}",
        severity=site.rule.severity if two else "medium",
        confidence=round((0.75 if two else 0.45) * (1.0 if own else 0.7), 2),
        runtime=last.origin.runtime,
        retainer=Retainer(
            path=site.place.text,
            kind="allocation-site",
            file=frame.file if frame and own else None,
            line=frame.line if frame and own and frame.line else None,
        ),
        retained_bytes=round(site.last),
        objects=site.objects if counted else None,
        growth=Growth("growing" if two else "unknown", None if rate is None else round(rate, 1)),
        dynamodb=DynamoDB(site.rule.kind, site.place.operation, None, site.objects)
        if site.place.dynamodb
        else None,
        evidence=(
            *((grew,) if two else (words,)),
            "the stack says who allocated it, not who holds it: look for what this line's result is stored in",
            evidence.command("show"),
        ),
        remediation=site.rule.remedies.get(last.origin.runtime, Remediation(site.rule.title)),
        references=site.rule.references,
    )
