"""L12: a stored exception keeps the frames of its traceback, and these their locals."""

from __future__ import annotations

from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import logging

from botocore.exceptions import ClientError

log = logging.getLogger(__name__)


def settle(pay, failed):
    try:
        pay()
    except ClientError as error:
        log.warning("not settled", exc_info=True)
        # The text is kept, not the exception: its traceback would keep every frame's variables.
        failed.append(error.response["Error"]["Code"])
"""


class StoredException(Rule):
    """One stored ``ClientError`` can hold 9.6 MB; 2 KB without its traceback."""

    id = "L12"
    title = "Stored exception"
    needs = ("snapshots",)
    thresholds = "the way from the root passes a traceback"
    weight = 70
    references = References(owasp=("API4:2023",), cwe=("CWE-401", "CWE-772"))
    remediation = Remediation(
        "Log the exception and keep its code, or store error.with_traceback(None).", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims what hangs from tracebacks."""
        if suspect.kind == "exception" or "traceback" in suspect.on_path:
            return self.claim("stored exceptions keep the frames that raised them, with their data", 0.95)
        return None
