"""Whether a service was at work while it was captured: that nothing grew in one that idles proves nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forensics.rules.evidence import Evidence

#: A service that used a smaller share of one processor may have had nothing to do …
IDLE = 0.01
#: … and did, if it is also less than this share of what it used before. A service whose tracer saw it call DynamoDB
#: at least this share as often had its work, however little of the processor it needs for a call since it is mended.
IDLE_SHARE = 0.25
#: Seconds after a snapshot in which a process still has work with it; seconds that must be left to judge by.
_HANDED_OVER, _ENOUGH = 0.5, 2.0


@dataclass(frozen=True)
class Activity:
    """What a process did while it was captured.

    Attributes
    ----------
    processors : processors it used on average while no snapshot was taken; None where the capture does not know
    requests : requests served meanwhile, None where the service has no counter of them
    calls : calls of DynamoDB for each second between the first and the last snapshot that its tracer remembers;
        None where it has no tracer
    """

    processors: float | None = None
    requests: int | None = None
    calls: float | None = None


def activity(evidence: Evidence) -> Activity:
    """The activity of a captured process, by its counters (``forensics.capture.counters``) and its tracer."""
    calls = _calls(evidence)
    table = evidence.process
    if table is None or "cpu_seconds" not in table or len(table) < 2:
        return Activity(calls=calls)
    requests = None
    if "requests" in table and table["requests"].notna().sum() > 1:
        counted = table["requests"].dropna()
        requests = int(counted.iloc[-1] - counted.iloc[0])
    times, used = (table[name].to_numpy(float) for name in ("time", "cpu_seconds"))
    clean = np.isfinite(np.diff(used))
    # V8 writes a snapshot in the service's own thread, and hands it over after it.
    for entry in evidence.manifest.get("snapshots") or ():
        begin, pause = entry.get("taken_at"), entry.get("pause_seconds")
        if isinstance(begin, (int, float)) and isinstance(pause, (int, float)):
            clean &= (times[1:] < begin) | (times[:-1] > begin + pause + _HANDED_OVER)
    spent = float(np.diff(times)[clean].sum())
    if spent < _ENOUGH:
        return Activity(None, requests, calls)
    return Activity(float(np.diff(used)[clean].sum()) / spent, requests, calls)


def _calls(evidence: Evidence) -> float | None:
    table, times = evidence.responses, evidence.times
    if table is None or len(times) < 2:
        return None
    meanwhile = table[(table["time"] > times[0]) & (table["time"] < times[-1])]
    # Each snapshot lists a response anew; two calls have not the same time and place in memory.
    return len(meanwhile[["time", "tag_address"]].drop_duplicates()) / (times[-1] - times[0])


def idled(before: Evidence, after: Evidence) -> str | None:
    """Why ``after`` proves nothing: its service had next to nothing to do; None where it had, or nobody knows."""
    was, now = activity(before), activity(after)
    if now.requests is not None:
        return None if now.requests else "no request was served while it was captured"
    if was.processors is None or now.processors is None:
        return None
    if was.calls and now.calls is not None and now.calls >= IDLE_SHARE * was.calls:
        return None
    if now.processors >= IDLE or now.processors >= IDLE_SHARE * was.processors:
        return None
    return (
        f"it had next to nothing to do while it was captured: {now.processors:.1%} of a processor, "
        f"{was.processors:.0%} before"
    )
