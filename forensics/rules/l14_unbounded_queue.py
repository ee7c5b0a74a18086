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
_NAMED = re.compile(r"[qQ]ueue|pending|backlog|inFlight")
_SAID = "a queue without a maximum fills faster than it is emptied"


class UnboundedQueue(Rule):
    """Pages wait in a queue faster than they are taken out."""

    id = "L14"
    title = "Unbounded queue"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = (
        "the holder is a queue, in JavaScript an array that is shifted; growth is judged by the engine"
    )
    weight = 42
    references = References(owasp=("API4:2023",), cwe=("CWE-770",))
    remediation = Remediation("Give the queue a maximum size, so that the producer waits.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims DynamoDB data in queues."""
        if not suspect.is_dynamodb:
            return None
        if evidence.runtime == "node":
            return self._of_array(suspect)
        # A queue far above is an executor's: what its waiting work refers to does not wait in it.
        near = suspect.on_path[-_NEAR:]
        waiting = not suspect.carried and any(name.startswith(_QUEUES) for name in near)
        queue = suspect.kind == "queue" or waiting
        return self.claim(_SAID, suspect.confidence) if queue else None

    def _of_array(self, suspect: Suspect) -> Claim | None:
        """JavaScript has no type for it: an array is one by what takes things out of it, else by its name."""
        taken = [line for line in suspect.clearing if ".shift(" in line.text and not line.bounds]
        if not taken and not _NAMED.search(suspect.path.rpartition(" · ")[2]):
            return None
        said = [f"taken out one by one at {line.file}:{line.line}" for line in taken[:1]]
        return self.claim(_SAID, suspect.confidence * 0.9, *said)
