"""L05: a session for each request."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import boto3

# One session, used from one thread, makes the client that all threads share.
session = boto3.session.Session()
dynamodb = session.client("dynamodb")
"""


class SessionPerRequest(Rule):
    """Each session loads the service models anew: 9.5 MB with its first client."""

    id = "L05"
    title = "Session per request"
    needs = ("snapshots",)
    thresholds = "three sessions or more at one place; 9.5 MB each makes even a few the main cause"
    severity = "critical"
    weight = 60
    references = References(owasp=("API4:2023",), cwe=("CWE-772", "CWE-770"))
    remediation = Remediation(
        "Share one session; build clients from it in one thread and let all threads use them.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims holders of several sessions."""
        sessions = suspect.holds(Kind.SESSION)
        own = suspect.dynamo_kind == Kind.SESSION or (
            suspect.dynamo_kind in (Kind.CLIENT, Kind.RESOURCE, Kind.TABLE)
            and sessions >= suspect.elements[-1] - 1
        )
        if own and sessions >= 3 and suspect.elements[-1] >= 3:
            return self.claim(
                "sessions are made again and again, each with its own copy of the service models",
                suspect.confidence,
                f"{sessions} sessions are held",
            )
        return None
