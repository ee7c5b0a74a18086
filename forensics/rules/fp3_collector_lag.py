"""FP3: already unreachable, only not collected yet."""

from __future__ import annotations

from forensics.findings import Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Excuse, Guard
from forensics.rules.suspect import Suspect


class CollectorLag(Guard):
    """Cycles wait for the collector; with the collector switched on they go in time."""

    id = "FP3"
    title = "Collector lag"
    needs = ("snapshots",)
    thresholds = "held by no root while the collector is on; with the collector off it is a leak"
    remediation = Remediation("Call gc.collect() once and take it again.", "import gc\n\ngc.collect()\n")

    def excuse(self, suspect: Suspect, evidence: Evidence) -> Excuse | None:
        """Excuses unreachable objects unless the collector was off."""
        if suspect.unreachable and collector_on(evidence):
            return Excuse(self, "no root holds it; the collector is on and will take it in its own time")
        return None


def collector_on(evidence: Evidence) -> bool:
    """Whether the service's collector was on when the last snapshot was taken; yes where nothing tells."""
    said = evidence.snapshots[-1].meta.get("gc_was_enabled")
    if said is None:
        entries = evidence.manifest.get("snapshots") or [{}]
        said = entries[-1].get("gc_was_enabled") if isinstance(entries[-1], dict) else None
    return said is None or bool(said)
