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
    """A ``Verification`` as bars: retained MiB on the left, growth in MiB a minute with its interval on the right.

    More than ``limit`` causes: the ones that kept most.
    """
    causes = sorted(verification.causes, key=lambda each: -max(each.retained_before, each.retained_after))[
        :limit
    ]
    causes.reverse()  # plotly draws the first row at the bottom
    names = [hover(_short(cause.path)) for cause in causes]
    figure = make_subplots(
        rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.06,
        subplot_titles=("retained in the last snapshot", "growth, with its 95 % interval"),
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
            row=1, col=2,
        )  # fmt: skip
    style(figure, f"Before and after: {hover(verification.verdict)}", height=max(300, 170 + 74 * len(causes)))
    figure.update_layout(
        barmode="group", bargap=0.35, margin={"t": 96, "l": 16}, legend={"traceorder": "reversed"}
    )
    figure.update_layout(title={"y": 0.97, "yanchor": "top"})
    figure.update_xaxes(title="MiB", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title="MiB a minute", row=1, col=2)
    return figure


def _per_minute(rate: float | None) -> float | None:
    return None if rate is None else units.mib(rate) * 60


def _reach(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else units.mib(high - low) * 60


def _short(path: str, limit: int = 44) -> str:
    text = plain(path)
    return text if len(text) <= limit else f"{text[:14]}…{text[-(limit - 15) :]}"
