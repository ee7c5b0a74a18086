"""The report as Markdown: reads as text, renders on any forge, holds no HTML and no live link."""

from __future__ import annotations

from forensics import units
from forensics.escape import markdown, markdown_code, plain
from forensics.findings import Finding
from forensics.report import method
from forensics.report.material import Material, capture_name
from forensics.report.references import named
from forensics.report.summary import five_lines, verdict

__all__ = ["render"]


def render(material: Material) -> str:
    """The whole document as text."""
    lines = [
        f"# Memory report: {markdown(capture_name(material.manifest, material.name))}",
        "",
        f"**{markdown(verdict(material))}**",
        "",
    ]
    lines += [f"- **{question}:** {markdown(answer)}" for question, answer in five_lines(material)]
    if material.heap_bytes:
        lines += [
            "",
            "## What grows",
            "",
            "| snapshot | after | live heap | objects |",
            "|---:|---:|---:|---:|",
        ]
        rows = zip(material.seconds, material.heap_bytes, material.heap_objects, strict=True)
        lines += [
            f"| {number} | {units.duration(second)} | {units.size(size)} | {'–' if many is None else f'{many:,}'} |"
            for number, (second, size, many) in enumerate(rows)
        ]
    if material.holder_lines:
        lines += ["", "| holder | first | last |", "|---|---:|---:|"]
        lines += [
            f"| {markdown_code(line.name)} | {units.size(line.n_bytes[0])} | {units.size(line.n_bytes[-1])} |"
            for line in material.holder_lines
        ]
    lines += [f"\nNot in this capture: {markdown(gap)}." for gap in material.missing]
    lines += ["", "## Findings"]
    for finding in material.findings:
        lines += _finding(finding)
    if not len(material.findings):
        lines += ["", "No rule found anything."]
    lines += ["", "## Method and limits", ""]
    lines += [f"- {line}" for line in (*method.METHOD, *method.LIMITS)]
    lines += ["", "## What was masked", "", f"Values: {markdown(material.masked)}."]
    lines += [f"- {markdown(kind)}: {number}" for kind, number in material.secrets.items()]
    lines += ["", "## Capture and checksums", ""]
    lines += [
        f"Captured {markdown(material.taken)}; report made {material.made:%Y-%m-%d %H:%M:%S UTC} "
        f"with dynamodb-memory-forensics {material.tool_version}.",
        "",
        "| file | bytes | SHA-256 |",
        "|---|---:|---|",
    ]
    lines += [
        f"| {markdown_code(name)} | {noted['bytes']:,} | {markdown_code(noted['sha256'])} |"
        for name, noted in material.files.items()
    ]
    return "\n".join(lines) + "\n"


def _finding(finding: Finding) -> list[str]:
    retainer, held, growth = finding.retainer, finding.dynamodb, finding.growth
    lines = ["", f"### {markdown(finding.id)} {markdown(finding.title)}", ""]
    lines.append(
        f"- **{finding.severity}**, rule {markdown(finding.rule)}, confidence {units.percent(finding.confidence)}"
    )
    where = markdown_code(retainer.path) + f" ({markdown(retainer.kind)})"
    if retainer.file:
        where += f" at {markdown_code(f'{retainer.file}:{retainer.line}')}"
    lines.append(f"- Held by {where}")
    if retainer.also_held_by:
        lines.append(f"- Also held by {', '.join(markdown_code(each) for each in retainer.also_held_by)}")
    lines.append(f"- Keeps {units.size(finding.retained_bytes)}{units.in_elements(finding.objects)}")
    moved = (
        growth.shape
        if growth.bytes_per_second is None
        else f"{growth.shape}, {units.rate(growth.bytes_per_second)}"
    )
    if growth.seconds_to_limit is not None:
        moved += f", memory limit in {units.duration(growth.seconds_to_limit)}"
    lines.append(f"- Growth: {moved}")
    if held:
        told = f"- DynamoDB: {markdown(held.what)}"
        told += f", fetched by {markdown_code(held.operation)}" if held.operation else ""
        lines.append(told + (f" on {markdown_code(held.table)}" if held.table else ""))
    if retainer.chain:
        lines.append(f"- Chain: {' → '.join(markdown_code(step) for step in retainer.chain)}")
    lines += [_evidence(line) for line in finding.evidence]
    lines += [f"- {prefix}{named(each)}" for prefix, each in _standards(finding)]
    if finding.remediation.summary:
        lines += ["", f"**What to change.** {markdown(finding.remediation.summary)}"]
    if finding.remediation.code:
        code = [plain(line) for line in finding.remediation.code.splitlines()]
        fence = "`" * max([3, *(len(line) - len(line.lstrip("`")) + 1 for line in map(str.strip, code))])
        lines += ["", f"{fence}{finding.remediation.language}", *code, fence]
    return lines


def _evidence(line: str) -> str:
    """A line of evidence; a command stays as it is pasted."""
    said, check, command = line.partition("check: ")
    return f"- Check: {markdown_code(command)}" if check and not said else f"- Evidence: {markdown(line)}"


def _standards(finding: Finding) -> list[tuple[str, str]]:
    references = finding.references
    return [("OWASP ", each) for each in references.owasp] + [("", each) for each in references.cwe]
