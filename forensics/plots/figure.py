"""The look that all plotly figures share."""

from __future__ import annotations

import plotly.graph_objects as go

from forensics.plots.palette import SEQUENCE

__all__ = ["style"]


def style(figure: go.Figure, title: str, height: int = 380) -> go.Figure:
    """Give a figure the look all of ours share; changes and returns ``figure``.

    Backgrounds are transparent and inks middling, so that one figure reads well in JupyterLab's light and
    dark theme alike: a figure cannot know which one it will be shown in.
    """
    ink, grid = "#757d8c", "rgba(127,137,152,0.28)"
    figure.update_layout(
        title={"text": title, "font": {"size": 16}, "x": 0, "xref": "paper", "xanchor": "left"},
        font={"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": ink},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=SEQUENCE,
        height=height,
        margin={"l": 64, "r": 24, "t": 56, "b": 52},
        hoverlabel={"align": "left", "namelength": 0},
        # In the figure's own measure: it keeps clear of the axis title, however narrow the figure is.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    )
    figure.update_xaxes(
        gridcolor=grid, zerolinecolor=grid, linecolor=grid, automargin=True, title_font_size=13
    )
    figure.update_yaxes(
        gridcolor=grid, zerolinecolor=grid, linecolor=grid, automargin=True, title_font_size=13
    )
    return figure
