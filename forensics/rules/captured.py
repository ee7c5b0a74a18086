"""What a finding says of members that hang from captured variables which no living function uses."""

from __future__ import annotations

from collections import Counter

import numpy as np

from forensics.dynamodb.ownership import ownership
from forensics.findings import Remediation
from forensics.heap.captured import is_unused, variable_at
from forensics.heap.graph import HeapGraph
from forensics.rules.evidence import Evidence
from forensics.rules.javascript import CAPTURED
from forensics.rules.suspect import Suspect

#: References looked at from a member up; what hangs deeper is a list's, and not a closure's.
_DEEPEST = 40
#: Variables named in one finding.
_NAMED = 3


def captured_lines(suspect: Suspect, evidence: Evidence) -> list[str]:
    """Which of these variables the members of a suspect hang from; none for other runtimes."""
    return [
        f"{count:,} of {len(_members(suspect)):,} hang from {name}: it is captured, no living function uses it, "
        "and a function made beside it keeps it"
        for name, count in _hanging(suspect, evidence).most_common(_NAMED)
    ]


def captured_remedy(suspect: Suspect, evidence: Evidence) -> Remediation | None:
    """The remedy where that is what keeps at least half of the members."""
    hanging = _hanging(suspect, evidence).total()
    return CAPTURED if hanging and 2 * hanging >= len(_members(suspect)) else None


def _members(suspect: Suspect) -> np.ndarray:
    members = suspect.members if len(suspect.members) else np.array([suspect.container], np.int32)
    return members[members >= 0]


def _hanging(suspect: Suspect, evidence: Evidence) -> Counter[str]:
    """``rows of handler (page.js:12)`` -> how many members hang from it; each counts for the nearest one."""
    graph: HeapGraph = evidence.snapshots[-1]
    found: Counter[str] = Counter()
    if not len(graph.unused):
        return found
    own, level = ownership(graph), _members(suspect)
    for _ in range(_DEEPEST):
        level = level[own.parents[level] >= 0]
        edges = own.parent_edges[level]
        here = is_unused(graph, edges)
        references, counts = np.unique(edges[here], return_counts=True)
        for reference, count in zip(references.tolist(), counts.tolist(), strict=True):
            found[variable_at(graph, reference)] += count
        level = own.parents[level[~here]]
        if not len(level):
            break
    return found
