"""L07: event handlers registered for each request."""

from __future__ import annotations

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
    needs = ("snapshots", "two snapshots")
    thresholds = "growth below a botocore event emitter or a list of callbacks"
    weight = 58
    references = References(owasp=("API4:2023",), cwe=("CWE-401", "CWE-770"))
    remediation = Remediation(
        "Register once, with a unique_id; do not wrap one botocore session in many boto3.Session.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims what grows below botocore's event hooks."""
        if suspect.passes("botocore.hooks.") and suspect.on_path[-1:] and _is_handler(suspect):
            return self.claim("event handlers are registered again and again", 0.9)
        return None


def _is_handler(suspect: Suspect) -> bool:
    hooks = [k for k, name in enumerate(suspect.on_path) if name.startswith("botocore.hooks.")]
    owner = [
        k for k, name in enumerate(suspect.on_path) if name.startswith(("botocore.client.", "boto3.session."))
    ]
    # Below the hooks of one client; clients that pile up carry hooks too, but above those stands the pile.
    return (
        bool(hooks)
        and (not owner or owner[-1] < hooks[0])
        and not suspect.container_type.startswith("botocore.cl")
    )
