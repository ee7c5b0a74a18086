"""L02: pages or items are collected without end."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import CONSUMPTION, Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
def export(client, write):
    pages = client.get_paginator("scan").paginate(
        TableName="Orders", PaginationConfig={"PageSize": 100, "MaxItems": 10_000}
    )
    # One page is in memory at a time; build_full_result() and list(pages) would hold them all.
    for page in pages:
        for item in page["Items"]:
            write(item["order_id"]["S"])
"""

SEQUENCES = ("list", "collections.deque", "tuple", "set", "Array", "Set table")


class AccumulatedPages(Rule):
    """A list grows by pages or by items."""

    id = "L02"
    title = "Pages accumulated"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "the container is a sequence; growth is judged by the engine over at least two snapshots"
    weight = 20
    references = CONSUMPTION
    remediation = Remediation("Work on one page at a time, cap the items, and drop each page.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims sequences of items, items lists, records and values."""
        data = (Kind.ITEMS, Kind.ITEM, Kind.RESOURCE_ITEM, Kind.STREAM_RECORD, Kind.COPY, Kind.BINARY)
        if suspect.dynamo_kind == Kind.ITEMS and _pages(suspect):
            return self.claim("whole results are collected, page after page", suspect.confidence, weight=32)
        if not suspect.container_type.endswith(SEQUENCES):
            return None
        pages = suspect.dynamo_kind == Kind.RESPONSE and _pages(suspect)
        if suspect.dynamo_kind in (*data, Kind.TOKEN, Kind.ATTRIBUTE_VALUE) or pages:
            return self.claim("a list collects what is read, page after page", suspect.confidence)
        return None


def _pages(suspect: Suspect) -> bool:
    """Whether the functions that use the holder collect pages."""
    words = {"build_full_result", "extend", "paginate", "get_paginator", "LastEvaluatedKey"}
    return any(words & (user.names | set(user.constants)) for user in suspect.users)
