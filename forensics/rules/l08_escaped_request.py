"""L08: what belongs to a request is kept by something that outlives it."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import contextvars

trail = contextvars.ContextVar("trail")


def serve(request_id, handle):
    # Set for this request, reset when it ends: nothing outlives it, whatever happens inside.
    token = trail.set([])
    try:
        return handle(request_id)
    finally:
        trail.reset(token)
"""


class EscapedRequest(Rule):
    """Request objects, application state, context variables and thread-locals carry data past the request."""

    id = "L08"
    title = "Object escapes its request"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "the way from the root passes a request's state, a context variable or a thread's locals"
    weight = 40
    references = References(owasp=("API4:2023", "API3:2023"), cwe=("CWE-401", "CWE-772"))
    remediation = Remediation(
        "Keep a small record of what is needed, and clear it when the request ends.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims data below request state, contexts and thread-locals."""
        if suspect.dynamo_kind in (Kind.CLIENT, Kind.RESOURCE, Kind.TABLE, Kind.SESSION, Kind.NONE):
            return None
        if suspect.passes("ServerResponse", "IncomingMessage"):
            return self.claim(
                "responses to clients are kept, and carry data past the request", suspect.confidence
            )
        if evidence.runtime == "node" and ".locals" in suspect.path:
            return self.claim(
                "the application's locals carry data past the request", suspect.confidence, weight=31
            )
        if suspect.kind in ("contextvar", "thread-local"):
            return self.claim(f"a {_SAID[suspect.kind]} carries data past the request", suspect.confidence)
        if suspect.passes(
            "starlette.requests.", "fastapi.requests.", "starlette.datastructures.State", "flask."
        ):
            keyed = suspect.container_type.endswith("dict") and not suspect.passes("starlette.requests.")
            return self.claim(
                "application or request state carries data past the request",
                suspect.confidence,
                weight=25 if keyed else None,
            )
        return None


_SAID = {"contextvar": "context variable", "thread-local": "thread-local"}
