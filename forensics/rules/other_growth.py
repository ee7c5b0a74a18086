"""Growth that has nothing to do with DynamoDB, reported as what it is."""

from __future__ import annotations

from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
from collections import deque

# The newest thousand, whatever happens.
recent = deque(maxlen=1000)
"""

_NOISE_BYTES = {"python": 4096, "node": 65_536}
_NOISE_ELEMENTS = 10


class OtherGrowth(Rule):
    """A container grows and holds no DynamoDB data."""

    id = "G01"
    title = "Growth outside DynamoDB"
    runtimes = ("python", "node")
    needs = ("snapshots", "two snapshots")
    thresholds = (
        "growing until the last snapshot, by at least 10 elements or 4 KB (Node 64 KB): less is noise of the "
        "interpreter, in Node code that is compiled as it is used"
    )
    severity = "medium"
    weight = 2
    references = References(owasp=("API4:2023",), cwe=("CWE-770", "CWE-401"))
    remediation = Remediation("Bound the container, or empty it when its work is done.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims growth that recognition knows nothing of."""
        if suspect.is_dynamodb or not suspect.growing:
            return None
        grown = suspect.sizes[-1] - suspect.sizes[0]
        more = suspect.elements[-1] - suspect.elements[0]
        if grown < _NOISE_BYTES[evidence.runtime] and more < _NOISE_ELEMENTS:
            return None
        return self.claim("a container grows that has nothing to do with DynamoDB", suspect.confidence)
