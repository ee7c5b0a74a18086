"""Five lines for someone who has a minute: what was looked at, how bad, what it is, where from, what to do."""

from __future__ import annotations

from forensics import units
from forensics.findings import Finding
from forensics.report.material import Material, capture_name

__all__ = ["five_lines", "verdict"]


def verdict(material: Material) -> str:
    """A headline of a few words."""
    leaks = material.findings.at_least("low")
    if not leaks:
        return "No leak of DynamoDB data found"
    worst = leaks[0].severity
    if len(leaks) == 1:
        return f"1 finding, severity {worst}"
    return f"{len(leaks):,} findings, the worst of severity {worst}"


def five_lines(material: Material) -> list[tuple[str, str]]:
    """(question, answer) five times; answers are plain text that the format escapes."""
    leaks = material.findings.at_least("low")
    return [
        ("What was examined", _examined(material)),
        ("How memory behaves", _behaviour(material, leaks)),
        ("What keeps the memory", _cause(material, leaks)),
        ("Where the data comes from", _source(leaks)),
        ("What to do", _action(leaks)),
    ]


def _examined(material: Material) -> str:
    manifest = material.manifest
    runtime = " ".join(str(manifest[key]) for key in ("runtime", "runtime_version") if manifest.get(key))
    parts = [capture_name(manifest, material.name)]
    if manifest.get("pid"):
        parts.append(f"process {manifest['pid']}")
    if runtime:
        parts.append(runtime)
    kind = "snapshot" if material.manifest.get("snapshots") else "profile"
    shots = units.count(len(material.seconds), kind)
    if len(material.seconds) > 1:
        shots += f" over {units.duration(material.seconds[-1] - material.seconds[0])}"
    return f"{', '.join(parts)}; {shots}, taken {material.taken}."


def _behaviour(material: Material, leaks: tuple[Finding, ...]) -> str:
    told = _live_heap(material, leaks)
    return (
        told if material.growth is None else f"{told} By the resident set alone: {material.growth.headline}."
    )


def _live_heap(material: Material, leaks: tuple[Finding, ...]) -> str:
    if len(material.heap_bytes) < 2:
        size = f" The live heap is {units.size(material.heap_bytes[0])}." if material.heap_bytes else ""
        return f"One moment only, so growth is not measured.{size}"
    first, last = material.heap_bytes[0], material.heap_bytes[-1]
    span = material.seconds[-1] - material.seconds[0]
    told = f"The live heap went from {units.size(first)} to {units.size(last)} in {units.duration(span)}"
    if span > 0 and last > first * 1.02:
        told += f", that is {units.rate((last - first) / span)}"
    limits = [leak.growth.seconds_to_limit for leak in leaks if leak.growth.seconds_to_limit is not None]
    if limits:
        told += f"; at this rate the memory limit is reached in {units.duration(min(limits))}"
    return told + "."


def _cause(material: Material, leaks: tuple[Finding, ...]) -> str:
    if not leaks:
        return "No place in the program accumulates DynamoDB data."
    worst = leaks[0]
    where = worst.retainer.path
    if worst.retainer.file:
        where += f" ({worst.retainer.file}:{worst.retainer.line})"
    told = f"{where} keeps {units.size(worst.retained_bytes)}"
    if material.heap_bytes and material.heap_bytes[-1]:
        told += (
            f", {units.percent(min(1.0, worst.retained_bytes / material.heap_bytes[-1]))} of the live heap"
        )
    told += "," * (worst.objects is not None) + units.in_elements(worst.objects)
    if len(leaks) > 1:
        told += f"; {units.count(len(leaks) - 1, 'more place')} below"
    return told + "."


def _source(leaks: tuple[Finding, ...]) -> str:
    seen: list[str] = []
    for leak in leaks:
        held = leak.dynamodb
        if held and (held.operation or held.table):
            told = f"{held.operation or 'calls'} on table {held.table}" if held.table else str(held.operation)
            if told not in seen:
                seen.append(told)
    if seen:
        return f"Fetched by {', '.join(seen[:4])}."
    return "The heap holds no sign of the call." if leaks else "Nothing to trace."


def _action(leaks: tuple[Finding, ...]) -> str:
    if not leaks:
        return "Nothing; capture again under load if memory grows all the same."
    worst = leaks[0]
    exposed = any("API3:2023" in leak.references.owasp for leak in leaks)
    told = worst.remediation.summary.rstrip(".") or f"Bound {worst.retainer.path}"
    return (
        f"{told}.{' Whole items stay readable in memory: treat it as data exposure too.' if exposed else ''}"
    )
