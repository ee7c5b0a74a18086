"""L07: event handlers registered for each request."""

from __future__ import annotations

from forensics.dynamodb.ownership import SDK_KINDS
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import boto3

dynamodb = boto3.client("dynamodb")


def note_throttling(**event):
    pass


# Once, at start-up; the unique id makes a second registration replace the first.
dynamodb.meta.events.register(
    "needs-retry.dynamodb.*", note_throttling, unique_id="note-throttling"
)
"""


class RegisteredHandlers(Rule):
    """botocore keeps every handler that is registered; a session wrapped anew registers its own each time."""

    id = "L07"
    title = "Handlers registered per request"
    runtimes = ("python", "node")
    needs = ("snapshots", "two snapshots")
    thresholds = "growth below a botocore event emitter or a list of callbacks"
    weight = 58
    references = References(owasp=("API4:2023",), cwe=("CWE-401", "CWE-770"))
    remediation = Remediation(
        "Register once, with a unique_id; do not wrap one botocore session in many boto3.Session.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims data below botocore's event hooks, and a client or session whose handlers become more."""
        if suspect.kind == "handler" and evidence.runtime == "node":
            return self.claim("middleware is added to a client's stack again and again and holds data", 0.9)
        if suspect.passes("botocore.hooks.") and suspect.dynamo_kind not in SDK_KINDS:
            return self.claim("event handlers are registered again and again and hold data", 0.9)
        if (
            suspect.dynamo_kind in SDK_KINDS
            and suspect.growing
            and suspect.elements[-1] == suspect.elements[0]
        ):
            handlers = handlers_below(suspect, evidence)
            if handlers:
                said = f"{handlers:,} handlers stand in its event hooks; a fresh client has about 150"
                return self.claim("event handlers are registered again and again", 0.85, said)
        return None


def handlers_below(suspect: Suspect, evidence: Evidence) -> int:
    """How many handlers stand in the event hooks below the suspect in the last snapshot."""
    from forensics.rules.content import content

    graph = evidence.snapshots[-1]
    inside = content(graph, suspect.members)
    nodes = graph.objects_of_type("botocore.hooks.NodeList")
    total = 0
    for node in nodes[inside[nodes]].tolist():
        for below in graph.targets[graph.offsets[node] : graph.offsets[node + 1]].tolist():
            total += int(graph.lengths[below]) if graph.type_name(below) == "list" else 0
    return total
