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
    needs = ("snapshots", "process")
    thresholds = "held by no root while the collector is on; with the collector off it is a leak"
    remediation = Remediation("Call gc.collect() once and take it again.", "import gc\n\ngc.collect()\n")

    def excuse(self, suspect: Suspect, evidence: Evidence) -> Excuse | None:
        """Excuses unreachable objects unless the collector was off."""
        if suspect.unreachable and collector_on(evidence):
            return Excuse(self, "no root holds it; the collector is on and will take it in its own time")
        return None


def collector_on(evidence: Evidence) -> bool:
    """Whether the service's collector was on; yes where nothing tells.

    The agent says so; where it does not, a collector that did not run once over several samples was off.
    """
    said = evidence.snapshots[-1].meta.get("gc_was_enabled")
    if said is not None:
        return bool(said)
    process = evidence.process
    if process is None or "gc_collections_0" not in process:
        return True
    runs = process["gc_collections_0"].dropna()
    return len(runs) < 2 or runs.iloc[-1] > runs.iloc[0]
