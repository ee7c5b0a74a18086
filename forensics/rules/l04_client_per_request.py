"""L04: a client for each request."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import boto3

# One client for the process: clients are thread-safe, and one costs about 200 KB.
dynamodb = boto3.client("dynamodb")


def customer(customer_id):
    return dynamodb.get_item(TableName="Customers", Key={"customer_id": {"S": customer_id}})
"""


class ClientPerRequest(Rule):
    """Clients (208 KB and 1,500 collector objects each) pile up."""

    id = "L04"
    title = "Client per request"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "three clients or more at one place; a service has one, or one for each region"
    weight = 50
    references = References(owasp=("API4:2023",), cwe=("CWE-772", "CWE-770"))
    remediation = Remediation("Make one client when the process starts and share it between threads.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims holders of several clients."""
        if suspect.dynamo_kind in (Kind.CLIENT, Kind.RESOURCE) and suspect.elements[-1] >= 3:
            return self.claim("DynamoDB clients are made again and again and kept", suspect.confidence)
        return None
