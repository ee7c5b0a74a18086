"""Finding and Findings: the frozen records every rule yields and every report prints.

The JSON form is the contract ``forensics.findings/1`` that other tools rely on; see ``Findings.to_json``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from forensics import units

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "forensics.findings/1"

Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")

GrowthShape = Literal["growing", "plateau", "sawtooth", "shrinking", "unknown"]


@dataclass(frozen=True)
class Retainer:
    """Who holds it: the place a person would edit, never the dict inside it."""

    path: str
    kind: str
    chain: tuple[str, ...] = ()
    file: str | None = None
    line: int | None = None
    also_held_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Growth:
    """How a holder moved over the snapshots; rates are per second, ``seconds_to_limit`` to the memory limit."""

    shape: GrowthShape = "unknown"
    bytes_per_second: float | None = None
    objects_per_second: float | None = None
    seconds_to_limit: float | None = None


#: What the service makes itself; no call fetched it.
MADE_HERE = ("client", "session", "paginator")


@dataclass(frozen=True)
class DynamoDB:
    """Which DynamoDB data is held and which call fetched it; ``None`` only where nothing tells."""

    kind: str
    operation: str | None = None
    table: str | None = None
    count: int = 0  # 0 where the evidence tells what and not how many, as allocation stacks do

    @property
    def what(self) -> str:
        """``1,204 × response``, or ``response`` where their number is not known."""
        return f"{self.count:,} × {self.kind}" if self.count else self.kind


@dataclass(frozen=True)
class Remediation:
    """How to mend it, in the language of the service."""

    summary: str
    code: str = ""
    language: str = "python"


@dataclass(frozen=True)
class References:
    """Where the pattern stands in OWASP API Security Top 10 2023 and in CWE."""

    owasp: tuple[str, ...] = ()
    cwe: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One cause, one finding.

    ``retained_bytes`` are the bytes that would be freed with the retainer's content; ``objects`` the number
    of elements it holds, None where the evidence counts bytes alone (jemalloc's pprof); ``confidence`` lies in 0…1.
    """

    id: str
    rule: str
    title: str
    severity: Severity
    confidence: float
    runtime: str
    retainer: Retainer
    retained_bytes: int
    objects: int | None
    growth: Growth = field(default_factory=Growth)
    dynamodb: DynamoDB | None = None
    evidence: tuple[str, ...] = ()
    remediation: Remediation = field(default_factory=lambda: Remediation(""))
    references: References = field(default_factory=References)

    @property
    def place(self) -> str:
        """``file:line`` of the retainer's definition, or an empty text."""
        if self.retainer.file is None:
            return ""
        return (
            self.retainer.file if self.retainer.line is None else f"{self.retainer.file}:{self.retainer.line}"
        )

    def to_text(self) -> str:
        """The finding as a person reads it in a terminal, eight to twelve lines."""
        growth = self.growth
        lines = [
            f"{self.id}  {self.severity.upper()}  {self.title}  [{self.rule}, confidence {self.confidence:.2f}]"
        ]
        where = f" at {self.place}" if self.place else ""
        lines.append(f"    held by    {self.retainer.path} ({self.retainer.kind}){where}")
        if self.retainer.also_held_by:
            lines.append(f"    also by    {', '.join(self.retainer.also_held_by)}")
        if self.dynamodb is not None:
            call = " of ".join(part for part in (self.dynamodb.operation, self.dynamodb.table) if part)
            if not call and self.dynamodb.kind not in MADE_HERE:
                call = "unknown call"
            # an allocation stack tells what, and not how many
            many = (
                f"{self.dynamodb.count:,} x {self.dynamodb.kind}"
                if self.dynamodb.count
                else self.dynamodb.kind
            )
            lines.append(f"    holds      {many}" + (f", fetched by {call}" if call else ""))
        if self.retained_bytes or self.objects is not None:
            lines.append(
                f"    retains    {self.retained_bytes / 2**20:,.2f} MiB{units.in_elements(self.objects)}"
            )
        lines.append(f"    growth     {growth_text(growth)}")
        lines.extend(f"    evidence   {line}" for line in self.evidence)
        if self.remediation.summary:
            lines.append(f"    mend       {self.remediation.summary}")
        if self.references.owasp or self.references.cwe:
            lines.append(f"    see        {', '.join((*self.references.owasp, *self.references.cwe))}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON types; key order is that of the schema.

        ``objects`` is a number there always: 0 where it is not known how many.
        """
        return {**dataclasses.asdict(self), "objects": self.objects or 0}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Finding:
        """The inverse of ``to_dict``."""
        retainer = dict(record["retainer"])
        for name in ("chain", "also_held_by"):
            retainer[name] = tuple(retainer.get(name) or ())
        references = {key: tuple(value) for key, value in record["references"].items()}
        return cls(
            **{
                **record,
                "objects": record["objects"] or None,
                "retainer": Retainer(**retainer),
                "growth": Growth(**record["growth"]),
                "dynamodb": DynamoDB(**record["dynamodb"]) if record["dynamodb"] else None,
                "evidence": tuple(record["evidence"]),
                "remediation": Remediation(**record["remediation"]),
                "references": References(**references),
            }
        )


def growth_text(growth: Growth) -> str:
    """A growth in words: shape, bytes a minute, time to the limit."""
    said: str = growth.shape
    if growth.bytes_per_second:
        said += f", {units.rate(growth.bytes_per_second)}"
    if growth.seconds_to_limit is not None:
        said += f", memory limit in {units.duration(growth.seconds_to_limit)}"
    return said


@dataclass(frozen=True)
class Findings:
    """The ranked findings of one capture."""

    capture: str
    snapshots: int
    findings: tuple[Finding, ...] = ()
    #: what the ``snapshots`` are: "snapshot", or "profile" where the capture has no object graph
    judged_by: str = "snapshot"

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

    def __str__(self) -> str:
        if not self.findings:
            plural = "" if self.snapshots == 1 else "s"
            return f"No findings in {self.capture} ({self.snapshots} {self.judged_by}{plural})."
        return "\n\n".join(finding.to_text() for finding in self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from forensics.report.card import findings_cards

        return findings_cards(self)

    def to_pandas(self) -> pd.DataFrame:
        """One row a finding: id, severity, rule, title, holder, place, operation, table, MiB, elements, growth."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "id": finding.id,
                    "severity": finding.severity,
                    "rule": finding.rule,
                    "title": finding.title,
                    "held by": finding.retainer.path,
                    "place": finding.place,
                    "operation": finding.dynamodb.operation if finding.dynamodb else None,
                    "table": finding.dynamodb.table if finding.dynamodb else None,
                    "retained MiB": finding.retained_bytes / 2**20,
                    "elements": finding.objects,
                    "growth": finding.growth.shape,
                    "KiB/s": (finding.growth.bytes_per_second or 0.0) / 2**10,
                    "confidence": finding.confidence,
                }
                for finding in self
            ]
        )

    def at_least(self, level: Severity) -> tuple[Finding, ...]:
        """The findings whose severity is ``level`` or worse."""
        worst = SEVERITIES.index(level)
        return tuple(finding for finding in self if SEVERITIES.index(finding.severity) <= worst)

    def to_dict(self) -> dict[str, Any]:
        """The schema ``forensics.findings/1`` as plain JSON types."""
        return {
            "schema": SCHEMA,
            "capture": self.capture,
            "snapshots": self.snapshots,
            "findings": [finding.to_dict() for finding in self],
        }

    def to_json(self) -> str:
        """The schema ``forensics.findings/1`` as text, two spaces of indent."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
