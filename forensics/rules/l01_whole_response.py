"""L01: a whole response is retained where a few of its attributes are used."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
def names_of(client, customer):
    response = client.query(
        TableName="Orders",
        KeyConditionExpression="customer = :c",
        ExpressionAttributeValues={":c": {"S": customer}},
        ProjectionExpression="order_id, #s",
        ExpressionAttributeNames={"#s": "status"},
    )
    # Keep what is needed; the response and its metadata go when the function returns.
    return [(item["order_id"]["S"], item["status"]["S"]) for item in response["Items"]]
"""


class WholeResponse(Rule):
    """Responses with their ``ResponseMetadata`` (about 1 KB of headers each) outlive the call."""

    id = "L01"
    title = "Whole responses retained"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "half of the elements carry a whole response: fewer are responses in flight"
    weight = 10
    references = References(owasp=("API4:2023", "API3:2023"), cwe=("CWE-401", "CWE-770"))
    remediation = Remediation(
        "Project the attributes that are used, keep those, and drop the response.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims every holder of whole responses, and DynamoDB data that no other pattern explains."""
        responses = suspect.holds(Kind.RESPONSE)
        if suspect.dynamo_kind == Kind.RESPONSE or (responses and 2 * responses >= suspect.elements[-1]):
            return self.claim("whole responses, with their metadata, are kept", suspect.confidence)
        if suspect.unreachable and suspect.is_dynamodb:
            return self.claim("DynamoDB data is kept in reference cycles", suspect.confidence)
        if suspect.is_dynamodb and suspect.dynamo_kind not in _OBJECTS:
            return self.claim("DynamoDB data is kept", suspect.confidence * 0.9, weight=1)
        return None


_OBJECTS = (Kind.CLIENT, Kind.RESOURCE, Kind.TABLE, Kind.SESSION, Kind.HTTP_SESSION)
