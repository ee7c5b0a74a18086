"""L06: resources and Table objects made again and again."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import threading

import boto3

_local = threading.local()
_making = threading.Lock()


def customers():
    # One Table for each thread: resources are not thread-safe, and each makes classes of its own.
    table = getattr(_local, "customers", None)
    if table is None:
        with _making:
            table = _local.customers = boto3.resource("dynamodb").Table("Customers")
    return table
"""


class TableChurn(Rule):
    """boto3 makes a new class for each resource and Table (69 KB and 412 collector objects each)."""

    id = "L06"
    title = "Table or resource class churn"
    needs = ("snapshots",)
    thresholds = "three Table objects or more at one place: one for each table and thread is right"
    severity = "medium"
    weight = 55
    references = References(owasp=("API4:2023",), cwe=("CWE-772", "CWE-770"))
    remediation = Remediation(
        "Keep one Table for each thread, or use the client, which is thread-safe.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims holders of several Table objects."""
        if suspect.dynamo_kind == Kind.TABLE and suspect.elements[-1] >= 3 and suspect.kind != "thread-local":
            return self.claim(
                "Table objects, each with classes of its own, are made again and again and kept",
                suspect.confidence,
            )
        return None
