"""Two small static charts as SVG, for where no script may run: the report, the triage panel, summary cards.

They follow the page's colour scheme, carry their numbers as hover titles, and have units on every axis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forensics import units
from forensics.escape import html_text
from forensics.plots.palette import SEQUENCE, css_variables

__all__ = ["Bar", "Line", "bars_svg", "lines_svg"]

#: Each chart is drawn for a wide and for a narrow place, in pixels; the page shows the one that fits.
WIDE, NARROW = 560, 350
HEIGHT = 262
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 26, 42
#: Pixels that ``snapshot 0`` needs above a mark.
LABEL = 64

STYLE = (
    f"<style>.fx-chart{{{css_variables()}font-family:system-ui,-apple-system,'Segoe UI',sans-serif;"
    "max-width:100%;height:auto}"
    "[data-jp-theme-light=false] .fx-chart{color-scheme:dark}"
    "[data-jp-theme-light=true] .fx-chart{color-scheme:light}"
    ".fx-chart text{fill:var(--fx-muted);font-size:11.5px}.fx-chart .strong{fill:var(--fx-ink)}"
    ".fx-fluid{container-type:inline-size}.fx-narrow{display:none}"
    f"@container (max-width:{WIDE - 120}px){{.fx-wide{{display:none}}.fx-narrow{{display:block}}}}"
    ".fx-chart .grid{stroke:var(--fx-line)}.fx-chart .mark{stroke:var(--fx-muted);stroke-dasharray:3 3}"
    "@media print{.fx-chart{color-scheme:light}}</style>"
)

_counter = itertools.count(1)


@dataclass(frozen=True)
class Line:
    """One series: ``seconds`` and ``n_bytes`` of equal length; gaps are NaN."""

    name: str
    seconds: Sequence[float]
    n_bytes: Sequence[float]


@dataclass(frozen=True)
class Bar:
    """One bar: ``n_bytes`` long, ``note`` behind it."""

    name: str
    n_bytes: float
    note: str = ""
    colour: str = "var(--fx-room-application)"


def lines_svg(lines: Sequence[Line], *, title: str, marks: Sequence[float] = ()) -> str:
    """Series over time; x in seconds, y in MiB from zero; ``marks`` are moments (snapshots), in seconds."""
    lines = [line for line in lines if any(not math.isnan(value) for value in line.n_bytes)]
    return _fluid(lambda width: _lines(lines, title, marks, width)) if lines else ""


def bars_svg(bars: Sequence[Bar], *, title: str) -> str:
    """Horizontal bars, the longest first, name above each; lengths in proportion, numbers written out."""
    return _fluid(lambda width: _bars(bars, title, width)) if bars else ""


def _fluid(draw: Callable[[int], str]) -> str:
    """The chart for a wide place and for a narrow one: shrunk to a phone, its text could not be read."""
    wide, narrow = draw(WIDE), draw(NARROW)
    return (
        f'<div class="fx-fluid"><div class="fx-wide">{wide}</div><div class="fx-narrow">{narrow}</div></div>'
    )


def _lines(lines: Sequence[Line], title: str, marks: Sequence[float], width: int) -> str:
    last = max([second for line in lines for second in line.seconds] + list(marks)) or 1.0
    highest = max(value for line in lines for value in line.n_bytes if not math.isnan(value)) or 1.0
    steps = _ticks(units.mib(highest))
    top = max(steps[-1], units.mib(highest))
    wide, high = width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(second: float) -> float:
        return LEFT + wide * second / last

    def y(n_bytes: float) -> float:
        return TOP + high * (1 - units.mib(n_bytes) / top)

    columns = 2 if width == WIDE else 1
    legend_rows = math.ceil(len(lines) / columns)
    height = HEIGHT + 18 * legend_rows
    parts = _opening(title, width, height, _lines_in_words(lines))
    for step in steps:
        level = y(step * units.MIB)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 7}" y="{level + 4:.1f}" text-anchor="end">{step:g}</text>')
    for second in _ticks(last):
        if second <= last:
            parts.append(
                f'<text x="{x(second):.1f}" y="{TOP + high + 16}" text-anchor="middle">{second:g}</text>'
            )
    parts.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">seconds</text>')
    parts.append(
        f'<text transform="translate(13 {TOP + high / 2}) rotate(-90)" text-anchor="middle">MiB</text>'
    )
    apart = min((x(b) - x(a) for a, b in itertools.pairwise(marks)), default=LABEL)
    words = "snapshot" if apart >= LABEL else ""
    for number, second in enumerate(marks):
        parts.append(
            f"<g><title>snapshot {number} after {units.duration(second)}</title>"
            f'<line class="mark" x1="{x(second):.1f}" x2="{x(second):.1f}" y1="{TOP}" y2="{TOP + high}"/>'
            f'<text x="{x(second):.1f}" y="{TOP - 8}" text-anchor="{_anchor(x(second), width)}">'
            f"{words} {number}</text></g>"
        )
    for index, line in enumerate(lines):
        colour = SEQUENCE[index % len(SEQUENCE)]
        points = [
            (x(s), y(b), s, b) for s, b in zip(line.seconds, line.n_bytes, strict=True) if not math.isnan(b)
        ]
        path = "".join(f"{'L' if i else 'M'}{px:.1f} {py:.1f}" for i, (px, py, _, _) in enumerate(points))
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2.2"/>')
        for px, py, second, value in points if len(points) <= 60 else ():
            told = f"{line.name}: {units.size(value)} after {units.duration(second)}"
            parts.append(
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"><title>{html_text(told)}</title></circle>'
            )
        left, base = LEFT + (index % columns) * wide / 2, HEIGHT + 10 + 18 * (index // columns)
        parts.append(f'<rect x="{left:.0f}" y="{base - 8}" width="12" height="4" rx="2" fill="{colour}"/>')
        name = html_text(_middle(line.name, 36))
        parts.append(f'<text class="strong" x="{left + 18:.0f}" y="{base - 1}">{name}</text>')
    return "".join([*parts, "</svg>"])


def _bars(bars: Sequence[Bar], title: str, width: int) -> str:
    longest = max(bar.n_bytes for bar in bars) or 1
    height = 8 + 42 * len(bars)
    words = "; ".join(f"{bar.name}: {units.size(bar.n_bytes)}" for bar in bars)
    parts = _opening(title, width, height, words)
    for index, bar in enumerate(bars):
        top = 4 + 42 * index
        length = max(2.0, (width - 4) * bar.n_bytes / longest)
        value = units.size(bar.n_bytes) + (f" · {bar.note}" if bar.note else "")
        parts.append(
            f"<g><title>{html_text(f'{bar.name} keeps {value}')}</title>"
            f'<text class="strong" x="2" y="{top + 12}">{html_text(_middle(bar.name, width // 11))}</text>'
            f'<text x="{width - 2}" y="{top + 12}" text-anchor="end">{html_text(value)}</text>'
            f'<rect x="2" y="{top + 19}" width="{length:.1f}" height="12" rx="3" style="fill:{bar.colour}"/></g>'
        )
    return "".join([*parts, "</svg>"])


def _anchor(place: float, width: int) -> str:
    """Where the text above a mark stands, so that it does not leave the chart."""
    return "start" if place < LABEL else "end" if place > width - LABEL / 2 else "middle"


def _opening(title: str, width: int, height: float, words: str) -> list[str]:
    identity = f"fx-chart-{next(_counter)}"
    return [
        f'<svg class="fx-chart" role="img" aria-labelledby="{identity}-t {identity}-d" width="{width}" '
        f'height="{height:.0f}" viewBox="0 0 {width} {height:.0f}" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{identity}-t">{html_text(title)}</title><desc id="{identity}-d">{html_text(words)}</desc>',
        STYLE,
    ]


def _ticks(highest: float, wanted: int = 5) -> list[float]:
    """Round numbers from 0 to at least ``highest``, about ``wanted`` of them."""
    raw = highest / wanted if highest > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [round(step * index, 10) for index in range(math.ceil(highest / step - 1e-9) + 1)]


def _middle(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-(limit // 2) :]}"


def _lines_in_words(lines: Sequence[Line]) -> str:
    told = []
    for line in lines:
        known = [value for value in line.n_bytes if not math.isnan(value)]
        told.append(f"{line.name} goes from {units.size(known[0])} to {units.size(known[-1])}")
    return "; ".join(told) + "."
