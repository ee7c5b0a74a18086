"""What a rule is: one leak pattern, what it needs, what it looks for, what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from forensics.findings import References, Remediation, Severity
from forensics.rules.evidence import Evidence
from forensics.rules.suspect import Suspect

#: Owasp and CWE of unrestricted consumption, which nearly every pattern is.
CONSUMPTION = References(owasp=("API4:2023",), cwe=("CWE-770", "CWE-401"))


@dataclass(frozen=True)
class Claim:
    """What one rule says of one suspect.

    ``weight`` decides which rule names the finding when several claim the same cause: the more specific the
    pattern, the higher. ``severity`` is the pattern's own, before growth and share are looked at.
    """

    rule: Rule
    confidence: float
    title: str
    severity: Severity
    weight: int
    evidence: tuple[str, ...] = ()


class Rule:
    """One pattern. A subclass stands in a file of its own and is listed in ``forensics.rules.RULES``.

    Class attributes
    ----------------
    id, title : as in the catalogue
    needs : what the evidence must have: snapshots, two snapshots, process, profiles, responses
    thresholds : which numbers decide, and why these
    severity, weight : of a claim, see ``Claim``
    references : OWASP API Security 2023 and CWE
    remediation : the right remedy; its code compiles
    runtimes : where the pattern applies
    """

    id: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("snapshots",)
    thresholds: ClassVar[str] = "none of its own"
    severity: ClassVar[Severity] = "high"
    weight: ClassVar[int] = 10
    references: ClassVar[References] = CONSUMPTION
    remediation: ClassVar[Remediation] = Remediation("")
    runtimes: ClassVar[Sequence[str]] = ("python",)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """The claim on this suspect, None where the pattern does not fit."""
        raise NotImplementedError

    def remedy(self, runtime: str) -> Remediation:
        """The right remedy in the language of the service."""
        from forensics.rules.javascript import REMEDIES

        return REMEDIES.get(self.id, self.remediation) if runtime == "node" else self.remediation

    def claim(self, title: str, confidence: float, *evidence: str, weight: int | None = None) -> Claim:
        """A claim of this rule."""
        heavier = self.weight if weight is None else weight
        return Claim(self, round(confidence, 2), title, self.severity, heavier, tuple(evidence))


@dataclass(frozen=True)
class Excuse:
    """Why a suspect is no leak, or why the process grows without one."""

    guard: Guard
    reason: str
    evidence: tuple[str, ...] = ()


class Guard:
    """A reason not to cry: what it excuses becomes a finding of severity ``info``.

    ``remediation`` is Python's or everybody's, ``remedies`` has those of other runtimes.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("snapshots",)
    thresholds: ClassVar[str] = "none of its own"
    remediation: ClassVar[Remediation] = Remediation("")
    remedies: ClassVar[Mapping[str, Remediation]] = {}
    references: ClassVar[References] = References()
    runtimes: ClassVar[Sequence[str]] = ("python", "node", "go", "rust")

    def remedy(self, runtime: str) -> Remediation:
        """What to do in the language of the service."""
        return self.remedies.get(runtime, self.remediation)

    def excuse(self, suspect: Suspect, evidence: Evidence) -> Excuse | None:
        """Why this suspect is no leak; None where that is not so."""
        return None

    def explain(self, evidence: Evidence, suspects: Sequence[Suspect]) -> Excuse | None:
        """What the process as a whole shows that looks like a leak and is none; None where nothing does."""
        return None


def article(count: int, noun: str) -> str:
    """``1 response``, ``1,204 responses``."""
    if count == 1:
        return f"1 {noun}"
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun if noun.endswith("s") else noun + "s"
    return f"{count:,} {plural}"
