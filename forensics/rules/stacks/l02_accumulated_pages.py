"""L02 by stacks: a paginator is on the stack of memory that stays."""

from __future__ import annotations

import re

from forensics.findings import Remediation
from forensics.rules.by_handlers.patterns import PATTERNS
from forensics.rules.stacks.stack_rule import EXPOSED, StackRule

ACCUMULATED_PAGES = StackRule(
    "L02",
    "pages are accumulated",
    "page",
    "high",
    re.compile(
        r"botocore/paginate\.py|\(\*(?:Query|Scan)Paginator\)|::paginator::|paginate(?:Query|Scan)|createPaginator"
    ),
    {
        **PATTERNS["L02"].remedies,
        "python": Remediation("Work page by page.", "for page in pages:\n    handle(page['Items'])\n"),
        "node": Remediation(
            "Work page by page.", "for await (const page of pages) handle(page);", "javascript"
        ),
    },
    EXPOSED,
)
