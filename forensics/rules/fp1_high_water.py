"""FP1: the resident set is up and the live heap is flat: the allocator keeps pages it may use again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from forensics.findings import Remediation
from forensics.growth import judge_process
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Excuse, Guard
from forensics.rules.suspect import Suspect

#: The resident set is more than this many times the live heap.
RATIO = 3.0
#: … and by more than this many bytes: an interpreter with its libraries has 50 MB that no graph shows.
LEAST = 100_000_000


class HighWater(Guard):
    """Memory that was freed is not given back to the system at once."""

    id = "FP1"
    title = "Allocator high-water mark"
    needs = ("process",)
    thresholds = (
        "resident set over 3 times the live heap and 100 MB above it, while the live heap moves by under 5 %"
    )
    remediation = Remediation(
        "No code needs to change. malloc_trim(0), MALLOC_ARENA_MAX=2 or jemalloc gives the pages back sooner.",
        'import ctypes\n\nctypes.CDLL("libc.so.6").malloc_trim(0)\n',
    )
    remedies: ClassVar[Mapping[str, Remediation]] = {
        "go": Remediation(
            "No code needs to change. GOMEMLIMIT or debug.FreeOSMemory() gives the pages back sooner.",
            "debug.FreeOSMemory()\n",
            "go",
        ),
        "rust": Remediation(
            "No code needs to change. jemalloc or MALLOC_ARENA_MAX=2 gives the pages back sooner.",
            "#[global_allocator]\nstatic ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;\n",
            "rust",
        ),
        "node": Remediation(
            "No code needs to change. MALLOC_ARENA_MAX=2 or jemalloc by LD_PRELOAD gives the pages back sooner.",
            "",
            "javascript",
        ),
    }

    def explain(self, evidence: Evidence, suspects: Sequence[Suspect]) -> Excuse | None:
        """Speaks when nothing grows and the resident set is far above the heap, or its series says so."""
        resident = evidence.undisturbed_resident_bytes()
        if resident is None:
            return None
        if len(evidence.snapshots) < 2:
            return self._by_series(evidence)
        live = [graph.live_bytes() for graph in (evidence.snapshots[0], evidence.snapshots[-1])]
        flat = abs(live[1] - live[0]) < 0.05 * live[0]
        if flat and resident > RATIO * live[1] and resident - live[1] > LEAST:
            return Excuse(
                self,
                "the resident set is far above a live heap that does not grow",
                (f"resident {resident:,} bytes, live heap {live[0]:,} and then {live[1]:,} bytes",),
            )
        return None

    def _by_series(self, evidence: Evidence) -> Excuse | None:
        """The same where there is no live heap but what the allocator counts; see ``forensics.growth``."""
        verdict = judge_process(evidence.process)
        if verdict is None or verdict.shape not in ("allocator high-water mark", "fragmentation"):
            return None
        return Excuse(self, f"the resident set over time shows {verdict.shape}", verdict.because)
