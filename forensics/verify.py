"""Did the fix work: each cause before and after, with intervals, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from forensics import tables, units
from forensics.activity import idled
from forensics.errors import BundleError
from forensics.escape import html_text
from forensics.findings import Finding
from forensics.rules.engine import judge
from forensics.rules.evidence import Evidence
from forensics.rules.suspect import Suspect
from forensics.rules.suspects import suspects

Verdict = Literal["fixed", "better", "not fixed", "cannot tell"]
_ORDER: tuple[Verdict, ...] = ("not fixed", "cannot tell", "better", "fixed")

#: A cause counts as gone when it grows by less than this share of its growth before.
FIXED_SHARE = 0.05
#: … and as better when it grows by less than this share.
BETTER_SHARE = 0.5
#: Two-sided confidence of the intervals.
LEVEL = 0.95
#: Fewer elements than this to be expected at the old rate: that none came may be chance.
FEWEST = 3


@dataclass(frozen=True)
class Rate:
    """Growth in bytes a second with an interval of 95 %; the bounds are None for fewer than three points."""

    bytes_per_second: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.bytes_per_second is None:
            return "unknown"
        rate = units.rate(self.bytes_per_second)
        if self.low is None or self.high is None or (self.low == self.high == self.bytes_per_second):
            return rate
        return f"{rate} ({units.size(self.low * 60)} … {units.size(self.high * 60)})"


@dataclass(frozen=True)
class Cause:
    """One cause: a finding of the capture before, or growth that only the capture after shows."""

    path: str
    rule: str
    before: Rate
    after: Rate
    retained_before: int
    retained_after: int
    verdict: Verdict
    reason: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Verification:
    """What became of each cause; ``verdict`` is the worst of them."""

    before: str
    after: str
    causes: tuple[Cause, ...]
    advice: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all causes; with no cause at all there was nothing to fix."""
        return min((cause.verdict for cause in self.causes), key=_ORDER.index, default="cannot tell")

    @property
    def fixed(self) -> bool:
        """Whether every cause is fixed."""
        return self.verdict == "fixed"

    @property
    def exit_code(self) -> int:
        """0 fixed, 1 otherwise: what a pipeline asks."""
        return 0 if self.fixed else 1

    def to_dict(self) -> dict[str, Any]:
        """The schema ``forensics.verification/1`` as plain JSON types."""
        return {
            "schema": "forensics.verification/1",
            "before": self.before,
            "after": self.after,
            "verdict": self.verdict,
            "causes": [
                {
                    "path": cause.path,
                    "rule": cause.rule,
                    "verdict": cause.verdict,
                    "reason": cause.reason,
                    "file": cause.file,
                    "line": cause.line,
                    "growth_before": _rate_dict(cause.before),
                    "growth_after": _rate_dict(cause.after),
                    "retained_bytes_before": cause.retained_before,
                    "retained_bytes_after": cause.retained_after,
                }
                for cause in self.causes
            ],
            "advice": list(self.advice),
        }

    def to_json(self) -> str:
        """``to_dict`` as text."""
        import json

        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each cause."""
        return pd.DataFrame(
            [
                {
                    "cause": cause.path,
                    "rule": cause.rule,
                    "verdict": cause.verdict,
                    "before_bytes_per_second": cause.before.bytes_per_second,
                    "after_bytes_per_second": cause.after.bytes_per_second,
                    "retained_before": cause.retained_before,
                    "retained_after": cause.retained_after,
                    "reason": cause.reason,
                }
                for cause in self.causes
            ],
            columns=[
                *("cause", "rule", "verdict", "before_bytes_per_second", "after_bytes_per_second"),
                *("retained_before", "retained_after", "reason"),
            ],
        )

    def __str__(self) -> str:
        lines = [f"{self.before} → {self.after}: {self.verdict}"]
        for cause in self.causes:
            lines.append(f"  {cause.verdict:<12} {cause.path} ({cause.rule}): {cause.reason}")
            lines.append(f"               growth {cause.before} → {cause.after}")
            lines.append(
                f"               retained {units.size(cause.retained_before)} → {units.size(cause.retained_after)}"
            )
        return "\n".join([*lines, *(f"  {each}" for each in self.advice)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        columns = ("verdict", "cause", "growth before", "growth after", "retained", "reason")
        rows = [
            (
                cause.verdict,
                f"{cause.path} ({cause.rule})",
                str(cause.before),
                str(cause.after),
                f"{units.size(cause.retained_before)} → {units.size(cause.retained_after)}",
                cause.reason,
            )
            for cause in self.causes
        ]
        said = f"{self.before} → {self.after}: {self.verdict}"
        advice = "".join(f"<p>{html_text(each)}</p>" for each in self.advice)
        return tables.html_table(columns, rows, caption=said) + advice


def _rate_dict(rate: Rate) -> dict[str, float | None]:
    return {"bytes_per_second": rate.bytes_per_second, "low": rate.low, "high": rate.high}


def verify(before: Evidence, after: Evidence) -> Verification:
    """Compare a capture from before the fix with one from after it.

    Each finding above ``info`` of ``before`` is a cause. It is looked for in ``after`` by its retainer's path (or,
    where that moved, by its file and name). A leak that only ``after`` has is a cause too, and not fixed. Nothing
    counts as fixed where the service had nothing to do while it was captured (``forensics.activity``).

    Raises
    ------
    BundleError : the captures are of processes of different runtimes.
    """
    if before.runtime != after.runtime:
        raise BundleError(
            f"{before.name} is a capture of {before.runtime}, {after.name} one of {after.runtime}.",
            advice="Compare two captures of one service, from before the fix and from after it.",
        )
    seen_before, seen_after = suspects(before), suspects(after)
    was = [finding for finding in judge(before, seen=seen_before) if finding.severity != "info"]
    now = [finding for finding in judge(after, seen=seen_after) if finding.severity != "info"]
    from forensics import verify_profiles

    if verify_profiles.applies(before, after):
        compared = verify_profiles.compare(before, after, was, now)
        return Verification(before.name, after.name, tuple(compared), tuple(_advice(before, after, compared)))
    causes = [_cause(finding, before, after, seen_before, seen_after, now) for finding in was]
    why = idled(before, after)
    if why is not None:
        causes = [_untold(cause, why) for cause in causes]
    known = {cause.path for cause in causes}
    causes += [_new(finding, after, seen_after) for finding in now if finding.retainer.path not in known]
    return Verification(before.name, after.name, tuple(causes), tuple(_advice(before, after, causes)))


def rate_with_interval(sizes: Sequence[float], seconds: Sequence[float]) -> Rate:
    """Least squares through ``sizes`` (bytes) over ``seconds``; Student's t for the interval of the slope."""
    n = len(sizes)
    if n < 2 or seconds[-1] <= seconds[0]:
        return Rate(None)
    x, y = np.asarray(seconds, float), np.asarray(sizes, float)
    slope, intercept = np.polyfit(x, y, 1)
    if n < 3:
        return Rate(float(slope))
    from scipy.special import stdtrit  # of scipy.stats, which takes a second to import, only this is needed

    residual = y - (slope * x + intercept)
    error = math.sqrt(float((residual**2).sum()) / (n - 2) / float(((x - x.mean()) ** 2).sum()))
    half = float(stdtrit(n - 2, 0.5 + LEVEL / 2)) * error
    return Rate(float(slope), float(slope - half), float(slope + half))


def _cause(
    finding: Finding,
    before: Evidence,
    after: Evidence,
    seen_before: Sequence[Suspect],
    seen_after: Sequence[Suspect],
    now: Sequence[Finding],
) -> Cause:
    first = _rate(_matching(finding, seen_before), before)
    match = _matching(finding, seen_after)
    second = _rate(match, after) if match is not None else Rate(0.0 if len(after.snapshots) > 1 else None)
    retained = match.retained_bytes if match is not None else 0
    verdict, reason = _verdict(finding, first, second, match, after, now)
    return Cause(
        finding.retainer.path,
        finding.rule,
        first,
        second,
        finding.retained_bytes,
        retained,
        verdict,
        reason,
        finding.retainer.file,
        finding.retainer.line,
    )


def _untold(cause: Cause, why: str) -> Cause:
    """A cause of which nothing is known after all, whatever it looked like: but for what is there still."""
    return cause if cause.verdict == "not fixed" else replace(cause, verdict="cannot tell", reason=why)


def _new(finding: Finding, after: Evidence, seen: Sequence[Suspect]) -> Cause:
    return Cause(
        finding.retainer.path,
        finding.rule,
        Rate(0.0),
        _rate(_matching(finding, seen), after),
        0,
        finding.retained_bytes,
        "not fixed",
        "a leak that the capture before does not have",
        finding.retainer.file,
        finding.retainer.line,
    )


def _matching(finding: Finding, seen: Sequence[Suspect]) -> Suspect | None:
    for suspect in seen:
        if suspect.path == finding.retainer.path:
            return suspect
    name = finding.retainer.path.rpartition(".")[2]
    for suspect in seen:
        place = suspect.definition
        if place is not None and place.file == finding.retainer.file and suspect.path.endswith(f".{name}"):
            return suspect
    return None


def _rate(suspect: Suspect | None, evidence: Evidence) -> Rate:
    if suspect is None:
        return Rate(None)
    return rate_with_interval(suspect.sizes, evidence.seconds()[-len(suspect.sizes) :])


def _verdict(
    finding: Finding,
    first: Rate,
    second: Rate,
    match: Suspect | None,
    after: Evidence,
    now: Sequence[Finding],
) -> tuple[Verdict, str]:
    still = any(each.retainer.path == finding.retainer.path for each in now)
    if len(after.snapshots) < 2:
        return "cannot tell", "the capture after has one snapshot, which shows no growth"
    expected = (finding.growth.objects_per_second or 0.0) * after.seconds()[-1]
    if 0 < expected < FEWEST and not still:
        return "cannot tell", f"at the old rate only {expected:.1f} elements were to be expected meanwhile"
    if match is None:
        return "fixed", "the holder is gone or holds no such data any more"
    rate_before = first.bytes_per_second or 0.0
    rate_after = second.bytes_per_second or 0.0
    if not still and match.shape != "growing":
        return "fixed", f"it does not grow any more ({match.shape})"
    if rate_before <= 0:
        return ("not fixed", "it still grows") if still else ("fixed", "it does not grow any more")
    share = rate_after / rate_before
    if share <= FIXED_SHARE and not still:
        return "fixed", f"growth fell to {max(share, 0):.0%} of what it was"
    certain = second.high is None or first.low is None or second.high < first.low
    if share <= BETTER_SHARE and certain:
        return "better", f"it grows by {max(share, 0):.0%} of what it did"
    if share <= BETTER_SHARE:
        return "cannot tell", "it seems to grow less, but the intervals overlap"
    return "not fixed", f"it still grows, by {share:.0%} of what it did"


def _advice(before: Evidence, after: Evidence, causes: Sequence[Cause]) -> list[str]:
    """What to capture to be surer."""
    said = []
    if not causes:
        said.append(f"{before.name} has no finding above info: capture it while memory grows, under load.")
    if any(cause.verdict == "cannot tell" for cause in causes):
        taken = before.seconds() if before.snapshots else before.profile_seconds()
        seconds = max(taken[-1] if taken else 0.0, 20.0)
        said.append(
            f"Capture the mended service again under the same load: --snapshots 5 --every {seconds / 4:.0f} or longer."
        )
    return said
