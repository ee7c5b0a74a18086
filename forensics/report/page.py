"""The report as one HTML file: no script, no address outside, light and dark, screen and paper."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from forensics import units
from forensics.escape import html_text, plain
from forensics.findings import Finding
from forensics.plots import chain_graph
from forensics.plots.chain_svg import chain_svg
from forensics.plots.charts import Bar, bars_svg, lines_svg
from forensics.plots.palette import css_variables
from forensics.report import method
from forensics.report.material import Material, capture_name
from forensics.report.references import named
from forensics.report.summary import five_lines, verdict

__all__ = ["render"]

#: Where a path may break; a number may not.
_JOINT = re.compile(r"[\[/]|\.(?=[^\W\d])")


def render(material: Material) -> str:
    """The whole page as text."""
    template = _environment().get_template("report.html.j2")
    style = resources.files("forensics.report").joinpath("templates/report.css").read_text()
    leaks = material.findings.at_least("low")
    return template.render(
        m=material,
        title=capture_name(material.manifest, material.name),
        style=Markup(f":root{{{css_variables()}}}\n{style}"),
        verdict=verdict(material),
        worst=leaks[0].severity if leaks else "info",
        summary=five_lines(material),
        growth_chart=Markup(
            lines_svg(material.process_lines, title="Memory of the process over time", marks=material.seconds)
        ),
        holder_chart=Markup(
            lines_svg(
                material.holder_lines, title="What each holder keeps, over time", marks=material.seconds
            )
        ),
        bars=Markup(bars_svg([_bar(finding) for finding in leaks[:8]], title="What each finding keeps"))
        if len(leaks) > 1
        else "",
        whole_picture=_picture_of_all(material),
        picture=lambda finding: _picture(material, finding),
        owasp=sorted({each for leak in leaks for each in leak.references.owasp}),
        cwe=sorted({each for leak in leaks for each in leak.references.cwe}),
        method=method.METHOD,
        limits=method.LIMITS,
        whole_picture_in_words=_picture_of_all_in_words(material),
        facts=_facts(material.manifest),
        taken=_taken(material.manifest),
    )


def _environment() -> Environment:
    """Autoescape everything; ``finalize`` writes out control characters before that, in every expression."""
    environment = Environment(
        loader=PackageLoader("forensics.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        ),
    )
    environment.filters.update(
        size=units.size,
        in_elements=units.in_elements,
        rate=units.rate,
        duration=units.duration,
        percent=units.percent,
        named=named,
        code=lambda text: Markup("\n".join(html_text(line) for line in text.splitlines())),
        wrappable=_wrappable,
    )
    return environment


def _wrappable(text: object) -> Markup:
    """Escaped, with places where a long path may break."""
    return Markup(_JOINT.sub(r"<wbr>\g<0>", html_text(text)))


def _bar(finding: Finding) -> Bar:
    held = finding.dynamodb
    source = f"{held.operation or ''} {held.table or ''}".strip() if held else ""
    return Bar(
        finding.retainer.path, finding.retained_bytes, source, f"var(--fx-severity-{finding.severity})"
    )


def _picture(material: Material, finding: Finding) -> Markup:
    path = finding.retainer.path
    chains = chain_graph.only_path(material.chains, path) if material.chains else None
    if chains is None or len(chains) < 2:
        chains = chain_graph.from_finding(finding)
    title = f"Reference chain of {path}, from a root to what it keeps"
    return Markup(chain_svg(chains, title=title, here=path, limit=10, columns=3))


def _picture_of_all(material: Material) -> Markup:
    if material.chains is None or len(material.chains) < 2:
        return Markup("")
    return Markup(chain_svg(material.chains, limit=16, columns=3))


def _picture_of_all_in_words(material: Material) -> Markup:
    """The same as an indented list, for a phone, where so wide a picture cannot be read."""
    if material.chains is None:
        return Markup("")
    lines = str(chain_graph.smallest(material.chains, 16)).splitlines()
    return Markup("\n".join(html_text(line) for line in lines))


def _taken(manifest: dict[str, Any]) -> list[dict[str, str]]:
    """What each snapshot is and cost, one row each; all rows have the same columns."""
    rows = []
    for number, entry in enumerate(manifest.get("snapshots", [])):
        pause = entry.get("pause_seconds")
        rows.append(
            {
                "snapshot": str(number),
                "taken": _moment(entry.get("taken_at")),
                "objects": f"{entry.get('objects', 0):,}",
                "references": f"{entry.get('references', 0):,}",
                "pause": "—" if pause is None else f"{1000 * pause:.1f} ms",
                "walker": str(entry.get("walker") or "—"),
            }
        )
    return rows


def _moment(seconds: Any) -> str:
    """Seconds since 1970 as a date and a time, UTC; what is none as it stands."""
    try:
        return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (TypeError, ValueError, OverflowError, OSError):
        return "—" if seconds is None else str(seconds)


def _facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """The manifest flattened to (name, value) lines; files and snapshots have tables of their own."""
    rows: list[tuple[str, str]] = []

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                add(f"{prefix} · {key}" if prefix else str(key), inner)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for index, inner in enumerate(value):
                add(f"{prefix} {index}", inner)
        else:
            if isinstance(value, list):
                value = " ".join(str(part) for part in value)
            if isinstance(value, datetime):
                value = value.isoformat()
            if prefix.endswith("_at"):
                value = _moment(value)
            if isinstance(value, bool):
                value = "yes" if value else "no"
            rows.append((prefix.replace("_", " "), "—" if value is None else str(value)))

    add("", {key: value for key, value in manifest.items() if key not in ("files", "snapshots")})
    return rows
