"""What a stack rule is: a pattern that allocation stacks show, where a capture has no object graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forensics.findings import References, Remediation, Severity
from forensics.profiles.model import Frame
from forensics.profiles.room import Room

#: Of what is kept without a bound; and of what is kept whole, so that it is exposed as well.
CONSUMPTION = References(("API4:2023",), ("CWE-770",))
EXPOSED = References(("API4:2023", "API3:2023"), ("CWE-770", "CWE-401"))


@dataclass(frozen=True)
class StackRule:
    """One pattern as stacks show it; an instance stands in a file of its own and is listed in ``STACK_RULES``.

    ``pattern`` must match the function or file of a frame between the allocation and the application's own frame;
    where ``innermost`` is set, the first frame that is not the runtime's must match; where ``direct`` is set, the
    application itself called the runtime's frame that matches, and no library in between. Without a pattern the rule
    fits whatever allocates DynamoDB's data.
    """

    id: str
    title: str
    kind: str
    severity: Severity
    pattern: re.Pattern[str] | None
    remedies: dict[str, Remediation]
    references: References
    innermost: bool = False
    direct: bool = False
    runtimes: Sequence[str] = ("python", "go", "rust", "node")
    needs: tuple[str, ...] = ("profiles",)
    thresholds: str = (
        "live bytes that grew by 1 MiB, 2 % and twice the sampling error; or 20 % of the live heap"
    )

    def fits(self, frames: Sequence[Frame], rooms: Sequence[Room], dynamodb: bool) -> bool:
        """Whether a stack (innermost first) shows the pattern; ``dynamodb``: it allocates DynamoDB's data."""
        if self.pattern is None:
            return dynamodb
        own = next((k for k, room in enumerate(rooms) if room == Room.APPLICATION), len(frames))
        if self.direct:
            asked = list(range(own)) if all(room == Room.RUNTIME for room in rooms[:own]) else []
        else:
            asked = [k for k in range(own) if rooms[k] != Room.RUNTIME]
        asked = asked[:1] if self.innermost else asked
        return any(self.pattern.search(f"{frames[k].function} {frames[k].file}") for k in asked)
