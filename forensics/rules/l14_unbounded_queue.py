"""L14: a queue without a maximum size between a fast producer and a slow consumer."""

from __future__ import annotations

import re

from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import queue

# put() waits once a hundred pages are there: the producer is slowed to the consumer's pace.
pages = queue.Queue(maxsize=100)
"""
_QUEUES = ("queue.", "_queue.", "asyncio.queues.")
#: types from an element up to its queue: the element, the deque, the queue's dict, the queue, and one around it
_NEAR = 5


class UnboundedQueue(Rule):
    """Pages wait in a queue faster than they are taken out."""

    id = "L14"
    title = "Unbounded queue"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "the holder is a queue; growth is judged by the engine"
    weight = 42
    references = References(owasp=("API4:2023",), cwe=("CWE-770",))
    remediation = Remediation("Give the queue a maximum size, so that the producer waits.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims DynamoDB data in queues."""
        if evidence.runtime == "node" and re.search(r"[qQ]ueue|pending|backlog|inFlight", suspect.path):
            return self.claim(
                "a queue without a maximum fills faster than it is emptied", suspect.confidence * 0.9
            )
        # A queue far above is an executor's: what its waiting work refers to does not wait in it.
        near = suspect.on_path[-_NEAR:]
        waiting = not suspect.carried and any(name.startswith(_QUEUES) for name in near)
        queue = suspect.kind == "queue" or waiting
        if suspect.is_dynamodb and queue:
            return self.claim("a queue without a maximum fills faster than it is emptied", suspect.confidence)
        return None
