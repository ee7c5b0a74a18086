"""L17: far more is fetched than is used."""

from __future__ import annotations

import numpy as np

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.heap.javascript import is_node
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

#: A scan that looks at ten times what it returns pays for ten times.
RATIO = 10
#: An attribute of this many bytes or characters is a document, not a field.
LARGE = 10_000
_VALUES = ("str", "bytes", "bytearray")
_VALUES_V8 = ("(string)", "system / JSArrayBufferData")

_CODE = """\
def open_orders(client):
    pages = client.get_paginator("query").paginate(
        TableName="Orders",
        IndexName="by-status",
        KeyConditionExpression="#s = :open",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":open": {"S": "open"}},
        # Only what is used. Limit applies before a filter; a key condition on an index needs no filter.
        ProjectionExpression="order_id, customer",
    )
    for page in pages:
        yield from page["Items"]
"""


class OverFetch(Rule):
    """Large attributes nobody projected away, or many items scanned for few returned."""

    id = "L17"
    title = "Over-fetch"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = (
        "ScannedCount at least 10 times Count over the retained responses, or values of 10,000 bytes or more"
    )
    severity = "medium"
    weight = 5
    references = References(owasp=("API4:2023", "API3:2023"), cwe=("CWE-770", "CWE-405"))
    remediation = Remediation(
        "Project the attributes that are used; query an index instead of filtering.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Adds to what is held: how much of it was fetched in vain."""
        if suspect.dynamo_kind not in (
            Kind.RESPONSE,
            Kind.ITEMS,
            Kind.ITEM,
            Kind.RESOURCE_ITEM,
            Kind.ATTRIBUTE_VALUE,
        ):
            return None
        said = []
        returned, scanned = _counts(suspect, evidence)
        if scanned >= RATIO * max(returned, 1):
            said.append(f"{scanned:,} items were scanned for {returned:,} returned in the retained responses")
        values, size = _large_values(suspect, evidence)
        if values and 2 * size >= suspect.sizes[-1]:
            said.append(
                f"{values:,} values of {LARGE:,} bytes or more make up {size:,} bytes of what is held"
            )
        return self.claim("more is fetched than is used", 0.7, *said) if said else None


def _counts(suspect: Suspect, evidence: Evidence) -> tuple[int, int]:
    """Sums of Count and ScannedCount over the retained responses; V8's snapshots have no small numbers."""
    graph = evidence.snapshots[-1]
    totals = {"Count": 0, "ScannedCount": 0}
    for member in suspect.members[:500].tolist():
        children = graph.children_by_key(member) if graph.type_name(member) == "dict" else {}
        for name in totals:
            text = graph.text(children[name]) if name in children else None
            totals[name] += int(text) if text and text.isdigit() else 0
    return totals["Count"], totals["ScannedCount"]


def _large_values(suspect: Suspect, evidence: Evidence) -> tuple[int, int]:
    from forensics.rules.content import content

    graph = evidence.snapshots[-1]
    inside = content(graph, suspect.members)
    names = graph.type_names.to_pylist()
    # V8 cuts long texts, and lays a binary's bytes apart from it: both are told by the bytes they take.
    wanted, measured = (_VALUES_V8, graph.shallow_sizes) if is_node(graph) else (_VALUES, graph.lengths)
    plain = np.isin(graph.types, [k for k, name in enumerate(names) if name in wanted])
    large = inside & plain & (measured >= LARGE)
    return int(large.sum()), int(graph.shallow_sizes[large].sum())
