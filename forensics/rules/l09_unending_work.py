"""L09: a task, generator, timer, closure or callback that never ends holds what it touched."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import asyncio


async def remind(count, seconds):
    # The task gets the number it needs, not the response, and cannot outlive its deadline.
    async with asyncio.timeout(seconds + 5):
        await asyncio.sleep(seconds)
    return count


def watch(changes, listener):
    changes.append(listener)

    def stop():
        changes.remove(listener)

    return stop
"""

_RUNNING = {
    "task": "a task that does not end holds data among its locals",
    "generator": "a suspended generator holds data among its locals",
    "callback": "callbacks that are never removed hold data",
    "frame-local": "a function that does not return collects data in a local variable",
}
_RUNNING_V8 = {
    "task": "an async function that never settles holds data among its variables",
    "callback": "timers or listeners that are never removed hold data",
    "closure": "closures that are never let go hold data",
}
_TYPES = (
    "coroutine",
    "generator",
    "async_generator",
    "_asyncio.Task",
    "asyncio.events.TimerHandle",
    "threading.Timer",
)


class UnendingWork(Rule):
    """Frames of tasks, coroutines and generators, timers and listeners keep their variables."""

    id = "L09"
    title = "Closure, timer or task that never ends"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "the way from the root passes a suspended frame, a timer or a callback's closure"
    weight = 45
    references = References(owasp=("API4:2023",), cwe=("CWE-401", "CWE-772"))
    remediation = Remediation(
        "Give it a deadline, remove the listener, and pass on only what is needed.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims data below what runs or waits to run."""
        if not suspect.is_dynamodb or suspect.dynamo_kind in (
            Kind.CLIENT,
            Kind.SESSION,
            Kind.TABLE,
            Kind.RESOURCE,
        ):
            return None
        if suspect.unreachable:
            return None
        if evidence.runtime == "node":
            said = _RUNNING_V8.get(suspect.kind)
            many = suspect.kind != "closure" or len(suspect.members) > 1
            return self.claim(said, suspect.confidence) if said and many else None
        if suspect.kind in _RUNNING:
            return self.claim(_RUNNING[suspect.kind], suspect.confidence)
        if suspect.carried:
            return None
        if any(name in _TYPES for name in suspect.on_path[-8:]):
            return self.claim("work that does not end holds data among its locals", suspect.confidence * 0.95)
        below = suspect.on_path[-5:]
        if (
            "function" in below
            and "cell" in below
            and len(suspect.members) > 1
            and _many_closures(suspect, evidence)
        ):
            return self.claim("closures that are never let go hold data", suspect.confidence)
        return None


def _many_closures(suspect: Suspect, evidence: Evidence) -> bool:
    """Whether each member hangs from a function of its own, not all from one."""
    from forensics.dynamodb.ownership import ownership

    own = ownership(evidence.snapshots[-1])
    first, last = (own.ancestors(int(suspect.members[k])) for k in (0, -1))
    graph = evidence.snapshots[-1]
    functions = [[i for i in chain if graph.type_name(i) == "function"][:1] for chain in (first, last)]
    return functions[0] != functions[1]
