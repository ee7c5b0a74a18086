"""L18: what is kept looks like secrets or personal data."""

from __future__ import annotations

from forensics.dynamodb.provenance import age
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
def profile_of(client, customer_id):
    answer = client.get_item(
        TableName="Customers",
        Key={"customer_id": {"S": customer_id}},
        # The token and the card number stay in the table.
        ProjectionExpression="customer_id, #n",
        ExpressionAttributeNames={"#n": "name"},
    )
    return {"name": answer["Item"]["name"]["S"]}
"""

#: Alone these do not make a finding worse: nearly every customer record has an address.
PERSONAL = ("e-mail address",)


class SecretsRetained(Rule):
    """Retained attribute values look like keys, tokens, card numbers or e-mail addresses; only kinds are known."""

    id = "L18"
    title = "Secrets or personal data in retained items"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "one value that looks like a secret: a single key is enough to lose"
    weight = 15
    references = References(owasp=("API3:2023",), cwe=("CWE-316", "CWE-226"))
    remediation = Remediation("Do not fetch or cache them; encrypt what must be kept; let it expire.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims DynamoDB data in which masking counted secrets."""
        if not suspect.is_dynamodb or not suspect.secrets:
            return None
        kinds = ", ".join(
            f"{count:,} × {kind}{_kept(suspect.secrets_kept.get(kind, 0.0))}"
            for kind, count in sorted(suspect.secrets.items())
        )
        hard = [kind for kind in suspect.secrets if kind not in PERSONAL]
        return self.claim(
            "what is kept looks like secrets" if hard else "what is kept looks like personal data",
            0.8,
            f"values that look like secrets: {kinds}",
            weight=35 if hard else 5,
        )


def _kept(seconds: float) -> str:
    """For how long the oldest was seen to be kept; it may be longer."""
    return f" (the oldest for at least {age(seconds)})" if seconds >= 1 else ""
