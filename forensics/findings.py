"""Finding and Findings: the frozen records every rule yields and every report prints.

The JSON form is the contract ``forensics.findings/1`` that other tools rely on; see ``Findings.to_json``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

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


@dataclass(frozen=True)
class DynamoDB:
    """Which DynamoDB data is held and which call fetched it; ``None`` only where nothing tells."""

    kind: str
    operation: str | None = None
    table: str | None = None
    count: int = 0


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
    of elements it holds; ``confidence`` lies in 0…1.
    """

    id: str
    rule: str
    title: str
    severity: Severity
    confidence: float
    runtime: str
    retainer: Retainer
    retained_bytes: int
    objects: int
    growth: Growth = field(default_factory=Growth)
    dynamodb: DynamoDB | None = None
    evidence: tuple[str, ...] = ()
    remediation: Remediation = field(default_factory=lambda: Remediation(""))
    references: References = field(default_factory=References)

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON types; key order is that of the schema."""
        return dataclasses.asdict(self)

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
                "retainer": Retainer(**retainer),
                "growth": Growth(**record["growth"]),
                "dynamodb": DynamoDB(**record["dynamodb"]) if record["dynamodb"] else None,
                "evidence": tuple(record["evidence"]),
                "remediation": Remediation(**record["remediation"]),
                "references": References(**references),
            }
        )


@dataclass(frozen=True)
class Findings:
    """The ranked findings of one capture."""

    capture: str
    snapshots: int
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

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
