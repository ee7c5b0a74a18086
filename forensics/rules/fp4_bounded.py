"""FP4: warm-up, start-up tables, bounded caches, buffers that are emptied: growth that ends."""

from __future__ import annotations

from forensics.findings import Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Excuse, Guard
from forensics.rules.suspect import Suspect

_REASONS = {
    "plateau": "it does not grow: a start-up table, a cache that is warm, or one at its bound",
    "sawtooth": "it fills and is emptied again",
    "shrinking": "it shrinks",
}


class Bounded(Guard):
    """A holder that does not grow until the end of the capture is no leak."""

    id = "FP4"
    title = "Warm-up, bounded cache or buffer"
    needs = ("snapshots", "two snapshots")
    thresholds = (
        "at most 10 % of the largest rise in the last interval, or a fall of 30 % of the range; or the program "
        "empties it when it is too large"
    )
    remediation = Remediation(
        "Nothing to mend. Three snapshots or more, minutes apart, tell warm-up from growth."
    )

    def excuse(self, suspect: Suspect, evidence: Evidence) -> Excuse | None:
        """Excuses what does not grow, and what has a maximum size."""
        if suspect.bounded:
            return Excuse(self, f"it is bounded: {suspect.bounded}")
        if suspect.shape in _REASONS:
            series = " → ".join(f"{each:,}" for each in suspect.elements)
            return Excuse(self, _REASONS[suspect.shape], (f"elements over the snapshots: {series}",))
        return None
