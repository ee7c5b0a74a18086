"""L11: metadata or a stored raw response pins the transport's buffers."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
def size_of(http_response, **_):
    # In an after-call handler: take the number, never the response, whose body is the whole answer again.
    return int(http_response.headers.get("content-length", 0))
"""


class PinnedTransport(Rule):
    """``AWSResponse`` holds the undecoded body beside the parsed items, and the connection's buffers."""

    id = "L11"
    title = "Metadata pins the transport"
    needs = ("snapshots",)
    thresholds = "raw HTTP responses are at least half of what is held: a few are calls in flight"
    severity = "medium"
    weight = 48
    references = References(owasp=("API4:2023",), cwe=("CWE-401",))
    remediation = Remediation("Keep the items; never store http_response or a streaming body.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims stored raw responses."""
        raw = suspect.holds(Kind.RAW_BODY)
        if suspect.dynamo_kind == Kind.RAW_BODY or (
            suspect.is_dynamodb and 2 * raw > suspect.elements[-1] > 2
        ):
            return self.claim("raw HTTP responses are kept with their bodies", suspect.confidence)
        return None
