"""The summary card a capture shows in a notebook: what it is, how memory went, what to ask next."""

from __future__ import annotations

from typing import Any

from forensics import units
from forensics.escape import html_text
from forensics.findings import Finding, Findings
from forensics.plots.charts import Line, lines_svg
from forensics.plots.palette import SEVERITY, css_variables

__all__ = ["capture_card", "findings_cards"]

STYLE = (
    f"<style>.fx-card{{{css_variables()}color-scheme:light dark;color:var(--fx-ink);background:var(--fx-paper);"
    "border:1px solid var(--fx-line);border-radius:10px;padding:12px 18px 14px;max-width:960px;"
    "font:14px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "[data-jp-theme-light=false] .fx-card{color-scheme:dark}[data-jp-theme-light=true] .fx-card{color-scheme:light}"
    ".fx-card .two{display:flex;flex-wrap:wrap;gap:10px 28px;align-items:flex-start}"
    ".fx-card .two>*{flex:1 1 400px;min-width:0}"
    ".fx-card h4{margin:2px 0 8px;font-size:16px;font-weight:600;line-height:1.35;overflow-wrap:anywhere;color:inherit}"
    ".fx-card dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 14px;margin:0;background:none}"
    ".fx-card dt,.fx-card dd{float:none;clear:none;width:auto;margin:0;padding:0;font-weight:400}"
    ".fx-card dt{color:var(--fx-muted)}.fx-card dd{overflow-wrap:anywhere}"
    ".fx-card .next{color:var(--fx-muted);margin:10px 0 0;font-size:13px}"
    ".fx-card code{background:var(--fx-card);color:inherit;padding:1px 5px;border-radius:4px}</style>"
)


def capture_card(capture: Any) -> str:
    """HTML of a ``Capture``; says the same things as its text form, and draws the process' memory."""
    rows = "".join(
        f"<dt>{html_text(label)}</dt><dd>{html_text(value)}</dd>" for label, value in capture.summary()
    )
    chart = _chart(capture)
    return (
        f'{STYLE}<section class="fx-card" aria-label="Summary of a capture"><h4>{html_text(capture.name)}</h4>'
        f'<div class="two"><dl>{rows}</dl>{f"<div>{chart}</div>" if chart else ""}</div>'
        '<p class="next">Next: <code>capture.findings()</code> · <code>capture.diff()</code> · '
        "<code>capture.chains()</code> · <code>capture.investigate()</code> · <code>capture.report()</code></p>"
        "</section>"
    )


def findings_cards(findings: Findings) -> str:
    """HTML of ``Findings``: a card for each, the worst first; nothing of a heap is taken as markup."""
    if not len(findings):
        return f'{STYLE}<section class="fx-card"><h4>No findings</h4></section>'
    return STYLE + "".join(_finding_card(finding) for finding in findings)


def _finding_card(finding: Finding) -> str:
    held, retainer, growth = finding.dynamodb, finding.retainer, finding.growth
    rows = [("held by", retainer.path)]
    if retainer.file:
        rows.append(("source", f"{retainer.file}:{retainer.line}" if retainer.line else retainer.file))
    if retainer.also_held_by:
        rows.append(("also held by", ", ".join(retainer.also_held_by)))
    rows.append(("keeps", f"{units.size(finding.retained_bytes)}{units.in_elements(finding.objects)}"))
    moved = growth.shape
    rows.append(
        (
            "growth",
            moved if not growth.bytes_per_second else f"{moved}, {units.rate(growth.bytes_per_second)}",
        )
    )
    if held:
        call = " on ".join(filter(None, [held.operation, held.table]))
        rows.append(("DynamoDB", held.what + (f", fetched by {call}" if call else "")))
    rows.append(("what to do", finding.remediation.summary))
    listed = "".join(f"<dt>{html_text(name)}</dt><dd>{html_text(value)}</dd>" for name, value in rows)
    tone = finding.severity if finding.severity in SEVERITY else "info"
    tags = f"{finding.severity} · {finding.id} · rule {finding.rule} · confidence {units.percent(finding.confidence)}"
    return (
        f'<section class="fx-card" style="border-left:5px solid var(--fx-severity-{tone});margin-bottom:10px">'
        f'<p class="next" style="margin:0">{html_text(tags)}</p><h4>{html_text(finding.title)}</h4>'
        f"<dl>{listed}</dl></section>"
    )


def _chart(capture: Any) -> str:
    process = capture.process
    if process is None or len(process) < 2 or "rss" not in process:
        return ""
    start = float(process["time"].min())
    line = Line(
        "resident set (RSS)",
        [float(value) - start for value in process["time"]],
        [float(value) for value in process["rss"]],
    )
    marks = [time - start for time in capture.times]
    return lines_svg([line], title="Resident memory during the capture", marks=marks)
