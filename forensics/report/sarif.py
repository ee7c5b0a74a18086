"""SARIF 2.1.0: findings as code-scanning tools read them (OASIS, Static Analysis Results Interchange Format)."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

from forensics.findings import Finding, Findings, Severity

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVEL: dict[Severity, str] = {
    "critical": "error",
    "high": "error",
    "medium": "warning",
    "low": "note",
    "info": "none",
}
#: GitHub's code scanning sorts by this property, 0 … 10.
_SCORE: dict[Severity, str] = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}


def to_sarif(findings: Findings, *, version: str = "") -> dict[str, Any]:
    """The findings as one SARIF log, plain JSON types.

    Findings of severity ``info`` are results of kind ``informational``; a finding without a source file has a
    logical location only.
    """
    rules = _rules(findings)
    position = {rule["id"]: index for index, rule in enumerate(rules)}
    driver: dict[str, Any] = {
        "name": "dynamodb-memory-forensics",
        "rules": rules,
    }
    if version:
        driver["version"] = version
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": driver},
                "results": [_result(finding, position[finding.rule]) for finding in findings],
                "columnKind": "unicodeCodePoints",
                "properties": {"capture": findings.capture, "snapshots": findings.snapshots},
            }
        ],
    }


def _rules(findings: Findings) -> list[dict[str, Any]]:
    """A descriptor for each rule that speaks, in the order of the findings."""
    described = _titles()
    rules: dict[str, dict[str, Any]] = {}
    for finding in findings:
        if finding.rule in rules:
            continue
        tags = [
            *finding.references.owasp,
            *(f"external/cwe/{name.lower()}" for name in finding.references.cwe),
        ]
        title, help_text = described.get(finding.rule, (finding.rule, ""))
        rules[finding.rule] = {
            "id": finding.rule,
            "name": "".join(word.capitalize() for word in title.replace("-", " ").split()),
            "shortDescription": {"text": title},
            "fullDescription": {"text": help_text or title},
            "help": {"text": finding.remediation.summary or title},
            "properties": {"tags": ["memory", *tags], "security-severity": _SCORE[finding.severity]},
        }
    return list(rules.values())


def _titles() -> dict[str, tuple[str, str]]:
    from forensics.rules import GUARDS, RULES, STACK_RULES, Guard, Rule
    from forensics.rules.by_handlers import PATTERNS

    known: list[Rule | Guard] = [*RULES, *GUARDS]
    by_stack = {rule.id: (rule.title, rule.thresholds) for rule in STACK_RULES}
    by_stack |= {each.id: (each.title, each.title) for each in PATTERNS.values() if each.id not in by_stack}
    return by_stack | {each.id: (each.title, (type(each).__doc__ or "").strip()) for each in known}


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    informational = finding.severity == "info"
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "kind": "informational" if informational else "fail",
        "level": _LEVEL[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(finding)],
        "partialFingerprints": {"retainer/v1": _fingerprint(finding)},
        "rank": round(100 * finding.confidence, 1),
        "properties": {
            "severity": finding.severity,
            "confidence": finding.confidence,
            "runtime": finding.runtime,
            "retainedBytes": finding.retained_bytes,
            "objects": finding.objects,
            "growth": finding.to_dict()["growth"],
            "dynamodb": finding.to_dict()["dynamodb"],
        },
    }
    return result


def _message(finding: Finding) -> str:
    lines = [finding.title + ".", *finding.evidence]
    if finding.remediation.summary:
        lines.append(f"Remedy: {finding.remediation.summary}")
    return "\n".join(lines)


def _location(finding: Finding) -> dict[str, Any]:
    retainer = finding.retainer
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": retainer.path, "kind": _logical_kind(retainer.kind)}]
    }
    if retainer.file:
        physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(retainer.file)}}
        if retainer.line is not None and retainer.line >= 1:
            physical["region"] = {"startLine": retainer.line}
        location["physicalLocation"] = physical
    return location


def _logical_kind(kind: str) -> str:
    return "member" if kind in ("attribute", "class-attribute") else "variable"


def _uri(file: str) -> str:
    """A relative reference, or a ``file:`` URI for an absolute path; percent-encoded."""
    from urllib.parse import quote

    path = PurePosixPath(file.replace("\\", "/"))
    return "file://" + quote(str(path)) if path.is_absolute() else quote(str(path))


def _fingerprint(finding: Finding) -> str:
    """The same for the same cause in every capture: rule, place, runtime."""
    text = "\0".join((finding.runtime, finding.rule, finding.retainer.kind, finding.retainer.path))
    return hashlib.sha256(text.encode()).hexdigest()
