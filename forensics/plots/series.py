"""How memory moves: the process over time with its snapshots marked, and single holders over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from forensics import units
from forensics.escape import hover, plain
from forensics.growth import judge_process
from forensics.plots.figure import style
from forensics.plots.palette import BAD, OTHERS, SEQUENCE

__all__ = ["growth", "holders"]

#: Points that one line may have; a longer series is thinned to the extremes of equal slices.
MOST_POINTS = 2_000
#: More snapshots than this are not all named in a picture.
MOST_NAMED = 8

#: A line this many times above the resident set is in the legend, and drawn when it is clicked there.
FAR_ABOVE = 3

_COUNTERS = {
    "rss": ("resident set (RSS)", SEQUENCE[0]),
    "pss": ("proportional set (PSS)", SEQUENCE[5]),
    "uss": ("private memory (USS)", SEQUENCE[3]),
    "cgroup_usage": ("cgroup", OTHERS),
}
#: Counters that depend on who else has the pages; in the legend, and drawn when they are clicked there.
_SHARED = ("pss", "uss")


def growth(capture: Any) -> go.Figure:
    """The process' memory in MiB over seconds, the live heap of each snapshot upon it, the snapshots marked.

    The title says what the resident set's series is, where the capture was watched.

    ``capture`` is what ``forensics.open`` gives; what it lacks is left out of the picture.
    """
    times = np.asarray(capture.times, dtype=float)
    process: pd.DataFrame | None = capture.process
    starts = [*times[:1], *([float(process["time"].min())] if process is not None and len(process) else [])]
    start = min(starts, default=0.0)
    figure = go.Figure()
    if process is not None and len(process):
        seconds = process["time"].to_numpy(dtype=float) - start
        for column, (name, colour) in _COUNTERS.items():
            if column in process and process[column].notna().any():
                _line(figure, name, seconds, process[column].to_numpy(dtype=float), colour, "lines")
                if column in _SHARED or process[column].max() > FAR_ABOVE * process["rss"].max():
                    # A control group that holds more than this process would flatten all other lines; what is
                    # shared with the child of a walk counts as somebody else's, so that these fall meanwhile.
                    figure.data[-1].visible = "legendonly"
        _limit(figure, process)
    heap = [float(graph.shallow_sizes[graph.reachable()].sum()) for graph in capture.snapshots]
    if heap:
        _line(figure, "live heap", times - start, np.asarray(heap), SEQUENCE[1], "lines+markers")
    _mark(figure, times - start)
    figure.update_layout(showlegend=True)
    figure.update_xaxes(title="seconds since the capture began", rangemode="tozero")
    figure.update_yaxes(title="MiB", rangemode="tozero")
    style(figure, "Memory of the process", height=400)
    verdict = judge_process(process)
    if verdict is None:
        return figure
    verdict = verdict.beside([len(graph) for graph in capture.snapshots])
    said = {"text": hover(verdict.headline, limit=160), "font": {"size": 13}}
    return figure.update_layout(title_subtitle=said, title_y=0.97, title_yanchor="top", margin_t=96)


def _mark(figure: go.Figure, snapshots: np.ndarray) -> None:
    """A line at the second of each snapshot; of many, the first and the last have a name."""
    for second in snapshots:
        figure.add_vline(x=second, line={"dash": "dot", "width": 1, "color": OTHERS})
    last = len(snapshots) - 1
    named = range(last + 1) if last < MOST_NAMED else (0, last)
    for number in named:
        figure.add_annotation(
            x=snapshots[number], y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"snapshot {number}",
            font={"size": 11},
        )  # fmt: skip


def holders(diff: Any, limit: int = 8) -> go.Figure:
    """What each holder keeps, MiB over seconds: the ``limit`` that moved most, the rest as one line.

    ``diff`` is a ``HeapDiff``.
    """
    series = sorted(diff.holders, key=lambda each: -abs(float(each.bytes[-1]) - float(each.bytes[0])))
    shown, rest = series[:limit], series[limit:]
    seconds = _seconds(diff, series)
    figure = go.Figure()
    for index, each in enumerate(shown):
        elements = np.asarray(each.elements)
        told = [f"holds {units.count(number, 'element')}" for number in elements]
        name = f"{place(each)} ({each.shape})"
        _line(
            figure, name, seconds, _floats(each.bytes), SEQUENCE[index % len(SEQUENCE)], "lines+markers", told
        )
    if rest:
        total = np.sum([_floats(each.bytes) for each in rest], axis=0)
        _line(figure, f"{units.count(len(rest), 'smaller holder')}", seconds, total, OTHERS, "lines+markers")
    figure.update_xaxes(title="seconds since the first snapshot")
    figure.update_yaxes(title="retained MiB", rangemode="tozero")
    style(figure, "Holders over time", height=400 + 18 * len(shown))
    return figure.update_layout(legend={"orientation": "v", "y": 0, "yanchor": "bottom"})


def place(series: Any) -> str:
    """The retainer's path where there is one: the name a person would look for."""
    retainer = getattr(series, "retainer", None)
    return str(getattr(retainer, "path", None) or series.path)


def thinned(
    seconds: np.ndarray, values: np.ndarray, most: int = MOST_POINTS
) -> tuple[np.ndarray, np.ndarray]:
    """At most ``most`` points that keep every peak and dip: least and greatest of equal slices; copies."""
    if len(values) <= most:
        return seconds, values
    slices = np.array_split(np.arange(len(values)), most // 2)
    kept = np.unique([f(values[s]) + s[0] for s in slices for f in (np.nanargmin, np.nanargmax)])
    kept = np.union1d(kept, [0, len(values) - 1])
    return seconds[kept], values[kept]


def _line(
    figure: go.Figure,
    name: str,
    seconds: np.ndarray,
    n_bytes: np.ndarray,
    colour: str,
    mode: str,
    also: Sequence[str] | None = None,
) -> None:
    known = ~np.isnan(n_bytes)
    x, y = thinned(seconds[known], n_bytes[known])
    endings = [f", {words}" for words in also] if also and len(also) == len(x) else [""] * len(x)
    told = [
        f"{hover(name)}: {units.size(value)}{hover(ending)}<br>after {units.duration(second)}"
        for second, value, ending in zip(x, y, endings, strict=True)
    ]
    figure.add_scatter(
        x=x,
        y=y / units.MIB,
        name=hover(_short(name)),
        mode=mode,
        line={"color": colour, "width": 2.5},
        marker={"size": 8},
        customdata=told,
        hovertemplate="%{customdata}<extra></extra>",
    )


def _limit(figure: go.Figure, process: pd.DataFrame) -> None:
    """The memory limit as a line, where there is one and it is near enough to be seen with the rest."""
    if "cgroup_limit" not in process or not process["cgroup_limit"].notna().any():
        return
    limit = float(process["cgroup_limit"].dropna().iloc[-1])
    if limit <= 4 * float(process["rss"].max()):
        figure.add_hline(
            y=limit / units.MIB,
            line={"color": BAD.light, "dash": "dash"},
            annotation_text=f"memory limit {units.size(limit)}",
        )


def _seconds(diff: Any, series: Sequence[Any]) -> np.ndarray:
    times = getattr(diff, "times", None)
    if times is not None and len(times):
        known = np.asarray(times, dtype=float)
        return known - known[0]
    return np.arange(len(series[0].bytes) if series else 0, dtype=float)


def _floats(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=float)


def _short(name: str, limit: int = 70) -> str:
    text = plain(name)
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 2 + 1 :]}"
