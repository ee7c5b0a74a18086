"""Pictures: plotly figures for a notebook, the reference-graph widget, static SVG for reports.

>>> from forensics import plots                                  # doctest: +SKIP
>>> plots.growth(capture); plots.holders(capture.diff())         # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forensics.plots.comparison import before_after
    from forensics.plots.dominators import icicle, treemap
    from forensics.plots.flame_graph import flame, flame_diff, flame_page
    from forensics.plots.flows import sankey
    from forensics.plots.series import growth, holders
    from forensics.plots.widget import ReferenceGraph

#: Loaded when first used: the report needs SVG only, and plotly takes most of a second to import.
_PUBLIC = {
    "ReferenceGraph": "forensics.plots.widget",
    "before_after": "forensics.plots.comparison",
    "flame": "forensics.plots.flame_graph",
    "flame_diff": "forensics.plots.flame_graph",
    "flame_page": "forensics.plots.flame_graph",
    "growth": "forensics.plots.series",
    "holders": "forensics.plots.series",
    "icicle": "forensics.plots.dominators",
    "sankey": "forensics.plots.flows",
    "treemap": "forensics.plots.dominators",
}

__all__ = [
    "ReferenceGraph",
    "before_after",
    "flame",
    "flame_diff",
    "flame_page",
    "growth",
    "holders",
    "icicle",
    "sankey",
    "treemap",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'forensics.plots' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
