"""FP3: already unreachable, only not collected yet; by object graphs, or by profiles in which it is gone again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from forensics import units
from forensics.findings import Remediation
from forensics.profiles.diff import ERRORS
from forensics.profiles.model import AllocationProfile
from forensics.profiles.naming import place_of_stack
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Excuse, Guard
from forensics.rules.suspect import Suspect

#: Live bytes that came and went between profiles are worth a line from so many on, and this share of what was live.
LEAST_BYTES = 1 << 20
LEAST_SHARE = 0.3
#: Of what had come, at most this share is left in the last profile.
LEFT_SHARE = 0.1


class CollectorLag(Guard):
    """Cycles wait for the collector; with the collector switched on they go in time."""

    id = "FP3"
    title = "Collector lag"
    needs = ()
    runtimes = ("python", "node", "go")
    thresholds = (
        "held by no root while the collector is on (with the collector off it is a leak); or, by profiles, 1 MiB and "
        "30 % of what was live, beyond the sampling error, of which a later profile has at most a tenth left"
    )
    remediation = Remediation("Call gc.collect() once and take it again.", "import gc\n\ngc.collect()\n")
    remedies: ClassVar[Mapping[str, Remediation]] = {
        "go": Remediation(
            "Profile after a collection: /debug/pprof/heap?gc=1, as `forensics capture URL` does.",
            "runtime.GC()\n",
            "go",
        ),
        "node": Remediation(
            "Collect once (node --expose-gc) and take it again.", "globalThis.gc?.();\n", "javascript"
        ),
    }

    def excuse(self, suspect: Suspect, evidence: Evidence) -> Excuse | None:
        """Excuses unreachable objects unless the collector was off."""
        if suspect.unreachable and collector_on(evidence):
            return Excuse(self, "no root holds it; the collector is on and will take it in its own time")
        return None

    def explain(self, evidence: Evidence, suspects: Sequence[Suspect]) -> Excuse | None:
        """Speaks where allocation profiles show live bytes that came and were gone in a later profile."""
        profiles = [
            each
            for each in evidence.profiles
            if isinstance(each, AllocationProfile)
            and "live" in each.measures
            and each.origin.stacks_are == "allocations"
        ]
        if len(evidence.snapshots) or len(profiles) < 2:
            return None
        live = np.array([profile.total("live") for profile in profiles], float)
        most = int(live[:-1].argmax())
        came = live[most] - (live[: most + 1].min() if most else live[-1])
        period = max(profile.origin.sampling_period or 0 for profile in profiles)
        enough = max(LEAST_BYTES, LEAST_SHARE * live[most], ERRORS * float(np.sqrt(period * 2 * live[most])))
        left = live[-1] - (live[most] - came)
        if came <= enough or left > LEFT_SHARE * came:
            return None
        series = " → ".join(units.size(each) for each in live)
        return Excuse(
            self,
            f"{units.size(live[most] - live[-1])} that were live in profile {most + 1} were gone in the last one",
            (f"live bytes over {len(profiles)} profiles: {series}", *_gone(profiles[most], profiles[-1])),
        )


def _gone(before: AllocationProfile, after: AllocationProfile, limit: int = 3) -> tuple[str, ...]:
    """The places whose live bytes fell most, one line each."""
    fell: dict[str, float] = {}
    for profile, sign in ((before, 1), (after, -1)):
        sizes, _ = profile.by_stack("live")
        for stack in np.flatnonzero(sizes):
            place = place_of_stack(profile, int(stack)).text
            fell[place] = fell.get(place, 0.0) + sign * float(sizes[stack])
    heaviest = sorted(fell.items(), key=lambda each: -each[1])[:limit]
    return tuple(
        f"gone again: {units.size(size)} allocated at {place}" for place, size in heaviest if size > 0
    )


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
