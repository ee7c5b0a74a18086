"""Before and after a fix: what each cause kept and how fast it grew, side by side."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from forensics import units
from forensics.escape import hover, plain
from forensics.plots.figure import style
from forensics.plots.palette import BAD, GOOD

__all__ = ["before_after"]


def before_after(verification: Any, limit: int = 20) -> go.Figure:
    """A ``Verification`` as bars: retained MiB above, growth in MiB a minute with its interval below.

    More than ``limit`` causes: the ones that kept most.
    """
    causes = sorted(verification.causes, key=lambda each: -max(each.retained_before, each.retained_after))[
        :limit
    ]
    causes.reverse()  # plotly draws the first row at the bottom
    names = [_at_its_joint(_short(cause.path)) for cause in causes]
    figure = make_subplots(
        rows=2, cols=1, vertical_spacing=0.3 if len(causes) < 4 else 0.12,
        subplot_titles=("retained at the end", "growth"),
    )  # fmt: skip
    for moment, colour in (("after", GOOD.light), ("before", BAD.light)):
        kept = [getattr(cause, f"retained_{moment}") for cause in causes]
        rates = [getattr(cause, moment) for cause in causes]
        figure.add_bar(
            x=[units.mib(value) for value in kept], y=names, orientation="h", name=moment, legendgroup=moment,
            marker={"color": colour}, hovertemplate="%{customdata}<extra></extra>",
            customdata=[
                f"{hover(cause.path, 160)} kept {units.size(value)} {moment} the change."
                for cause, value in zip(causes, kept, strict=True)
            ],
            row=1, col=1,
        )  # fmt: skip
        figure.add_bar(
            x=[_per_minute(rate.bytes_per_second) for rate in rates], y=names, orientation="h", name=moment,
            legendgroup=moment, showlegend=False, marker={"color": colour},
            error_x={
                "type": "data", "symmetric": False, "thickness": 1.4, "color": "#757d8c",
                "array": [_reach(rate.bytes_per_second, rate.high) for rate in rates],
                "arrayminus": [_reach(rate.low, rate.bytes_per_second) for rate in rates],
            },
            hovertemplate="%{customdata}<extra></extra>",
            customdata=[
                f"{hover(cause.path, 160)} grew by {units.rate(rate.bytes_per_second)} {moment} the change."
                f"<br>Verdict: {hover(cause.verdict)}."
                for cause, rate in zip(causes, rates, strict=True)
            ],
            row=2, col=1,
        )  # fmt: skip
    style(figure, f"Before and after: {hover(verification.verdict)}", height=320 + 100 * len(causes))
    figure.update_layout(
        barmode="group", bargap=0.35, margin={"t": 96, "l": 16}, legend={"traceorder": "reversed"}
    )
    figure.update_layout(title={"y": 0.97, "yanchor": "top", "xref": "container", "x": 0.02})
    figure.update_xaxes(title="MiB", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title="MiB a minute", row=2, col=1)
    # Above the left end of its bars, where a phone has room for it too.
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    figure.update_xaxes(title_font_size=13)
    return figure


def _per_minute(rate: float | None) -> float | None:
    return None if rate is None else units.mib(rate) * 60


def _reach(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else units.mib(high - low) * 60


def _short(path: str, limit: int = 44) -> str:
    text = plain(path)
    return text if len(text) <= limit else f"{text[:14]}…{text[-(limit - 15) :]}"


def _at_its_joint(path: str) -> str:
    """A long path in two lines, so that the bars have room on a phone; safe for plotly."""
    head, dot, name = path.rpartition(".")
    return f"{hover(head + dot)}<br>{hover(name)}" if len(path) > 14 and head and name else hover(path)
