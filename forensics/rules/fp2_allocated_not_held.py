"""FP2: a profile of everything ever allocated, read as what is held (Go's ``alloc_space``)."""

from __future__ import annotations

from collections.abc import Sequence

from forensics.findings import Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Excuse, Guard
from forensics.rules.suspect import Suspect


class AllocatedNotHeld(Guard):
    """``alloc_space`` only ever rises; what is held stands in ``inuse_space``."""

    id = "FP2"
    title = "alloc_space read as a leak"
    needs = ("profiles",)
    thresholds = (
        "two profiles with both types, in-use bytes that moved by under 5 %, allocated bytes that rose"
    )
    runtimes = ("go",)
    remediation = Remediation("Read inuse_space.", "", "go")

    def explain(self, evidence: Evidence, suspects: Sequence[Suspect]) -> Excuse | None:
        """Speaks when allocated bytes rose between two profiles and held bytes did not."""
        totals = [_totals(profile) for profile in evidence.profiles]
        totals = [each for each in totals if {"alloc_space", "inuse_space"} <= set(each)]
        if len(totals) < 2:
            return None
        first, last = totals[0], totals[-1]
        flat = abs(last["inuse_space"] - first["inuse_space"]) < 0.05 * max(first["inuse_space"], 1)
        if flat and last["alloc_space"] > first["alloc_space"]:
            return Excuse(
                self,
                "allocated bytes rise, as they always do; held bytes are flat",
                (
                    f"inuse_space {first['inuse_space']:,} and then {last['inuse_space']:,} bytes",
                    f"alloc_space {first['alloc_space']:,} and then {last['alloc_space']:,} bytes",
                ),
            )
        return None


def _totals(profile: object) -> dict[str, int]:
    """Total per sample type of a profile, as ``forensics.profiles`` gives them."""
    totals = getattr(profile, "totals", None)
    found = totals() if callable(totals) else totals
    return {str(name): int(value) for name, value in dict(found or {}).items()}
