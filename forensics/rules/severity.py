"""How bad a finding is: the pattern's own severity, moved by growth, time to the limit, share and kind of data."""

from __future__ import annotations

from forensics.findings import SEVERITIES, Severity
from forensics.rules.evidence import Evidence
from forensics.rules.l18_secrets_retained import PERSONAL
from forensics.rules.suspect import Suspect

HOUR, DAY = 3600.0, 86400.0
#: Less than this a second is 40 MB a day: a restart a week hides it, an incident it is not.
SLOW = 512.0
#: MAT's threshold for a suspect: this share of the live heap is worth a look even without growth.
LARGE_SHARE = 0.2


def seconds_to_limit(suspect: Suspect, evidence: Evidence) -> float | None:
    """When the memory limit is reached at this rate; None without a limit, a resident set or growth."""
    limit, resident = evidence.memory_limit(), evidence.resident_bytes()
    rate = suspect.bytes_per_second
    if limit is None or resident is None or not suspect.growing or rate is None or rate <= 0:
        return None
    return max(0.0, (limit - resident) / rate)


def share_of_heap(suspect: Suspect, evidence: Evidence) -> float:
    """Share of the live heap that the suspect retains, 0…1."""
    return suspect.retained_bytes / max(evidence.snapshots[-1].live_bytes(), 1)


def severity_of(base: Severity, suspect: Suspect, evidence: Evidence) -> Severity:
    """The severity of a leak whose pattern has the severity ``base``.

    One step worse for less than an hour to the limit, or for secrets; one step better for slow growth of data that
    is nobody's secret with more than a day to go; at least high for growth that makes up a large share of the heap;
    without a second snapshot never above medium.
    """
    level = SEVERITIES.index(base)
    left = seconds_to_limit(suspect, evidence)
    hard_secrets = suspect.is_dynamodb and any(kind not in PERSONAL for kind in suspect.secrets)
    if (left is not None and left < HOUR) or hard_secrets:
        level -= 1
    elif suspect.growing and (suspect.bytes_per_second or 0) < SLOW and (left is None or left > DAY):
        level += 1
    if suspect.growing and share_of_heap(suspect, evidence) >= LARGE_SHARE:
        level = min(level, SEVERITIES.index("high"))
    if not suspect.growing:
        level = max(level, SEVERITIES.index("medium"))
    return SEVERITIES[min(max(level, 0), SEVERITIES.index("low"))]
