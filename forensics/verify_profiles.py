"""Did the fix work, where a capture holds allocation profiles and no object graph (Go, Rust)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forensics.findings import Finding
from forensics.profiles.handlers import plain_name, run_of, stack_with_rooms
from forensics.rules.by_handlers.judging import RUNTIMES, causes, memory_profiles
from forensics.rules.by_handlers.judging import Cause as Judged
from forensics.rules.evidence import Evidence
from forensics.verify import BETTER_SHARE, FIXED_SHARE, Cause, Rate, Verdict, rate_with_interval


def applies(before: Evidence, after: Evidence) -> bool:
    """Whether both captures are of profiles alone, of a runtime that is judged by its handlers."""
    return all(
        each.runtime in RUNTIMES and not len(each.snapshots) and len(each.profiles)
        for each in (before, after)
    )


def compare(before: Evidence, after: Evidence, was: Sequence[Finding], now: Sequence[Finding]) -> list[Cause]:
    """Each finding of ``was`` and what became of it; growth that only ``after`` shows is a cause, and not fixed."""
    first, second = causes(before), causes(after)
    ran = _ran(after)
    compared = [_one(finding, before, after, first, second, now, ran) for finding in was]
    known = {finding.retainer.chain[0] for finding in was if finding.retainer.chain}
    for finding in now:
        if finding.retainer.chain and finding.retainer.chain[0] not in known:
            judged = _match(finding, second)
            rate = _rate(judged, after)
            reason = "a leak that the capture before does not have"
            compared.append(_cause(finding, Rate(0.0), rate, 0, finding.retained_bytes, "not fixed", reason))
    return compared


def _one(
    finding: Finding,
    before: Evidence,
    after: Evidence,
    first: Sequence[Judged],
    second: Sequence[Judged],
    now: Sequence[Finding],
    ran: set[str] | None,
) -> Cause:
    judged = _match(finding, second)
    rates = _rate(_match(finding, first), before), _rate(judged, after)
    left = round(float(judged.sizes[-1])) if judged is not None and finding.retained_bytes else 0
    verdict, reason = _verdict(finding, *rates, judged, after, now, ran)
    return _cause(finding, *rates, finding.retained_bytes, left, verdict, reason)


def _cause(
    finding: Finding, before: Rate, after: Rate, held: int, left: int, verdict: Verdict, reason: str
) -> Cause:
    place = finding.retainer
    return Cause(place.path, finding.rule, before, after, held, left, verdict, reason, place.file, place.line)


def _match(finding: Finding, among: Sequence[Judged]) -> Judged | None:
    """The same handler; a goroutine's finding is matched by who began it."""
    names = finding.retainer.chain[:1] or (finding.retainer.path,)
    return next((each for each in among if each.finding.retainer.chain[:1] == tuple(names)), None)


def _rate(judged: Judged | None, evidence: Evidence) -> Rate:
    seconds = evidence.profile_seconds()
    if judged is None or len(seconds) != len(judged.sizes):
        return Rate(None)
    return rate_with_interval(judged.sizes.tolist(), seconds)


def _verdict(
    finding: Finding,
    first: Rate,
    second: Rate,
    judged: Judged | None,
    after: Evidence,
    now: Sequence[Finding],
    ran: set[str] | None,
) -> tuple[Verdict, str]:
    name = finding.retainer.chain[0] if finding.retainer.chain else finding.retainer.path
    if len(memory_profiles(after)) < 2:
        return "cannot tell", "the capture after has one profile, which shows no growth"
    if ran is not None and not ({name, *finding.retainer.chain} & ran):
        return "cannot tell", f"{name} allocated nothing while the capture after was taken: it was not asked"
    still = [each for each in now if each.retainer.chain[:1] == finding.retainer.chain[:1]]
    if judged is None:
        return "fixed", "nothing that it allocated stays alive any more"
    if not still:
        return "fixed", f"what it allocates does not grow any more ({judged.finding.growth.shape})"
    before, later = first.bytes_per_second or 0.0, second.bytes_per_second or 0.0
    if before <= 0 or later / before > BETTER_SHARE:
        return "not fixed", "it still grows"
    certain = second.high is None or first.low is None or second.high < first.low
    if later / before <= FIXED_SHARE and still[0].rule != finding.rule:
        return "better", "it grows far less, and in another way"
    share = f"{max(later / before, 0):.0%}"
    if certain:
        return "better", f"it grows by {share} of what it did"
    return "cannot tell", f"it seems to grow by {share} of what it did, but the intervals overlap"


def _ran(after: Evidence) -> set[str] | None:
    """The application's functions that allocated between the first and the last profile; None where nothing tells."""
    profiles = memory_profiles(after)
    if len(profiles) < 2 or any("allocated" not in each.measures for each in profiles):
        return None
    totals: dict[str, np.ndarray] = {}
    for number, profile in ((0, profiles[0]), (1, profiles[-1])):
        sizes, _ = profile.by_stack("allocated")
        for stack in np.flatnonzero(sizes):
            run = run_of(*stack_with_rooms(profile, int(stack)))
            for name in {*run.functions, plain_name(run.handler.function)} if run is not None else ():
                totals.setdefault(name, np.zeros(2))[number] += sizes[stack]
    return {name for name, sizes in totals.items() if sizes[1] > sizes[0]}
