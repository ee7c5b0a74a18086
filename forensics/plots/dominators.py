"""Where memory sits: the dominator tree as an icicle or a treemap, merged so that millions of objects fit.

Objects with the same merged parent and the same type are one tile unless they are large by themselves: a cache
of 40,000 responses is one tile, and so are its 40,000 lists of items. A tile's size is the retained size of
its objects together, which for siblings in a dominator tree simply add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from forensics import units
from forensics.escape import hover
from forensics.plots.figure import style
from forensics.plots.palette import OTHERS, SEQUENCE

__all__ = ["Tile", "icicle", "tiles", "treemap"]


@dataclass(frozen=True)
class Tile:
    """One tile; ``parent`` is the index of another or -1 for the whole heap. ``path`` leads to a first object."""

    parent: int
    depth: int
    type_name: str
    objects: int
    retained_bytes: int
    path: str


def tiles(graph: Any, *, depth: int = 7, min_share: float = 0.004, most: int = 600) -> list[Tile]:
    """The merged dominator tree of a ``HeapGraph``, heaviest first, at most ``most`` tiles.

    Parameters
    ----------
    depth : levels below the virtual root
    min_share : tiles of a smaller share of the heap are left to their parent
    """
    tree = graph.dominator_tree()
    retained = graph.retained_sizes()
    starts, children = tree.rows()
    n = len(graph)
    total = int(retained[children[starts[n] : starts[n + 1]]].sum()) or 1
    found = [Tile(-1, 0, "live heap", int(graph.reachable().sum()), total, "")]
    waiting: list[tuple[int, np.ndarray]] = [(0, np.asarray([n]))]
    while waiting and len(found) < most:
        parent, members = waiting.pop(0)
        if found[parent].depth >= depth:
            continue
        below = _rows(starts, children, members)
        if not len(below):
            continue
        for group in _groups(below, graph.types, retained, total, min_share):
            if len(found) >= most:
                break
            first = int(group[np.argmax(retained[group])])
            found.append(
                Tile(
                    parent,
                    found[parent].depth + 1,
                    str(graph.type_name(first)),
                    len(group),
                    int(retained[group].sum()),
                    _expression(graph, first),
                )
            )
            waiting.append((len(found) - 1, group))
    return found


def treemap(graph: Any, **limits: Any) -> go.Figure:
    """Areas in proportion to retained bytes; click to go down, hover for the path."""
    figure = go.Figure(go.Treemap(**_trace(tiles(graph, **limits)), maxdepth=4, pathbar={"thickness": 22}))
    return _dressed(figure, "Who retains the heap (MiB)")


def icicle(graph: Any, **limits: Any) -> go.Figure:
    """Widths in proportion to retained bytes, the virtual root above; click to go down, hover for the path."""
    figure = go.Figure(go.Icicle(**_trace(tiles(graph, **limits)), tiling={"orientation": "v"}))
    return _dressed(figure, "Dominator tree (retained MiB)")


def _dressed(figure: go.Figure, title: str) -> go.Figure:
    style(figure, title, height=520)
    return figure.update_layout(
        margin={"l": 4, "r": 4, "t": 48, "b": 4}, uniformtext={"minsize": 10, "mode": "hide"}
    )


def _trace(found: list[Tile]) -> dict[str, Any]:
    whole = found[0].retained_bytes
    return {
        "ids": [str(index) for index in range(len(found))],
        "parents": ["" if tile.parent < 0 else str(tile.parent) for tile in found],
        "labels": [hover(_label(tile), 60) for tile in found],
        "values": [units.mib(tile.retained_bytes) for tile in found],
        "branchvalues": "total",
        "customdata": [_sentence(tile, whole) for tile in found],
        "hovertemplate": "%{customdata}<extra></extra>",
        "texttemplate": "%{label}<br>%{value:.2f} MiB",
        "marker": {
            "colors": [
                OTHERS if tile.depth == 0 else _colour(found, index) for index, tile in enumerate(found)
            ],
            "line": {"width": 1, "color": "rgba(255,255,255,.55)"},
        },
        "textfont": {"color": "#ffffff"},
        "sort": True,
    }


def _colour(found: list[Tile], index: int) -> str:
    """Every tile has the colour of its branch, so that depth never hides where it belongs."""
    while found[index].depth > 1:
        index = found[index].parent
    return SEQUENCE[(index - 1) % len(SEQUENCE)]


def _label(tile: Tile) -> str:
    if tile.objects > 1 and tile.depth:
        return f"{tile.objects:,} × {tile.type_name}"
    last = tile.path.rsplit(".", 1)[-1] if tile.path else ""
    return f"{last} · {tile.type_name}" if last and len(last) < 40 else tile.type_name


def _sentence(tile: Tile, whole: int) -> str:
    share = units.percent(tile.retained_bytes / whole)
    told = f"{units.count(tile.objects, 'object')} of type {hover(tile.type_name)}"
    if tile.depth == 0:
        told = units.count(tile.objects, "reachable object")
    told += f" {'keeps' if tile.objects == 1 else 'keep'} {units.size(tile.retained_bytes)}, {share} of the live heap."
    return told + (f"<br>The largest is {hover(tile.path, 160)}" if tile.path else "")


def _rows(starts: np.ndarray, children: np.ndarray, members: np.ndarray) -> np.ndarray:
    """The children of all members, concatenated; int32."""
    if len(members) == 1:
        return children[starts[members[0]] : starts[members[0] + 1]]
    lengths = starts[members + 1] - starts[members]
    ends = np.cumsum(lengths)
    places = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(
        starts[members] - (ends - lengths), lengths
    )
    return children[places]


def _groups(
    members: np.ndarray, types: np.ndarray, retained: np.ndarray, total: int, min_share: float
) -> Iterator[np.ndarray]:
    """Large objects by themselves, the others by type; heaviest first, those under ``min_share`` left out."""
    sizes = retained[members]
    large = sizes >= max(0.03 * total, 1)
    groups = [members[[index]] for index in np.flatnonzero(large)]
    rest = members[~large]
    if len(rest):
        order = np.argsort(types[rest], kind="stable")
        cuts = np.flatnonzero(np.diff(types[rest][order])) + 1
        groups += np.split(rest[order], cuts)
    weighed = sorted(((int(retained[group].sum()), group) for group in groups), key=lambda pair: -pair[0])
    return (group for weight, group in weighed if weight >= min_share * total)


def _expression(graph: Any, number: int) -> str:
    paths = graph.paths_to_roots(number, limit=1)
    return str(paths[0].expression) if paths else ""
