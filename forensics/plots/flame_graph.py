"""Flame graphs of allocation profiles, and red/green ones of what changed; a page with search, threshold and table."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from forensics import units
from forensics.escape import hover
from forensics.plots.figure import style
from forensics.plots.palette import BAD, GOOD, OTHERS, ROOMS
from forensics.profiles.diff import ERRORS, ProfileDiff
from forensics.profiles.model import AllocationProfile, Frame
from forensics.profiles.naming import spell
from forensics.profiles.room import Room

__all__ = ["flame", "flame_diff", "flame_page"]

#: Nodes below this share of the whole are folded away, and no picture has more nodes than this.
MIN_SHARE = 0.002
MOST_NODES = 4000

_FOUND = "#facc15"


#: Rooms whose frames a reader passes through: where one leads to one other, they are drawn as one, of the same room or
#: with the runtime's between them.
_PASSED = (Room.FRAMEWORK, Room.SDK, Room.RUNTIME)
#: What of a frame's bytes must be its one callee's for both to be drawn as one.
_ALL_BUT = 0.99
#: Letters across a picture of the width that a notebook gives it, and how few of them are worth drawing.
_LETTERS = 170
_LEAST_LETTERS = 12
#: So many frames of a run are listed on hover.
_LISTED = 12


@dataclass
class _Node:
    names: list[str]  # of the frame, or of a run of frames drawn as one, outermost first
    room: Room | None
    before: float = 0.0
    after: float = 0.0
    width: float = 0.0
    variance: float = 0.0  # of after - before, by sampling, bytes squared
    children: dict[str, _Node] = field(default_factory=dict)

    @property
    def label(self) -> str:
        if len(self.names) == 1:
            return self.names[0]
        dots = " … " if len(self.names) > 2 else " → "
        return f"{self.names[0]}{dots}{self.names[-1]} ({len(self.names)} frames)"

    @property
    def told(self) -> str:
        """The frames for a hover, a line each."""
        if len(self.names) <= _LISTED:
            return "<br>".join(map(hover, self.names))
        half = _LISTED // 2
        between = f"… {len(self.names) - 2 * half} more …"
        return "<br>".join([*map(hover, self.names[:half]), between, *map(hover, self.names[-half:])])


@dataclass(frozen=True, eq=False)
class _Flat:
    """The tree as plotly wants it; ``ids`` are paths of child numbers and mean nothing."""

    ids: list[str]
    parents: list[str]
    nodes: list[_Node]
    folded: int


def flame(
    profile: AllocationProfile, *, measure: str | None = None, min_share: float = MIN_SHARE, search: str = ""
) -> go.Figure:
    """A flame graph: widths are bytes, colours whose code it is; a click zooms in.

    Parameters
    ----------
    measure : live, peak, temporary or allocated; by default the first there is
    min_share : frames with less than this share of the whole are left out, and their number is said
    search : frames whose name or file holds this text are lit, and their share is said
    """
    name, _ = profile.measure(measure)
    sizes, _ = profile.by_stack(name)
    stacks = (
        (profile.stack(int(stack)), _rooms(profile, int(stack)), 0.0, float(sizes[stack]), 0.0)
        for stack in np.flatnonzero(sizes)
    )
    root = _tree(stacks)
    flat = _flatten(root, min_share)
    colours = [ROOMS[node.room.label].light if node.room is not None else OTHERS for node in flat.nodes]
    hovers = [
        f"{node.told}<br>{units.size(node.after)}, {node.after / max(root.after, 1):.1%}"
        + (f"<br>{node.room.label}" if node.room is not None else "")
        for node in flat.nodes
    ]
    title = f"{name} bytes by stack, {units.size(root.after)}"
    return _figure(flat, root, colours, hovers, title, search)


def flame_diff(diff: ProfileDiff, *, min_share: float = MIN_SHARE, search: str = "") -> go.Figure:
    """A red/green flame graph: red grew, green shrank, the paler the less; widths are the larger of both.

    Grey is what did not change, or by less than the sampling error.
    """
    sizes = zip(diff.before.tolist(), diff.after.tolist(), (diff.errors**2).tolist(), strict=True)
    stacks = (
        (frames, diff.rooms(number), *of_stack)
        for number, (frames, of_stack) in enumerate(zip(diff.stacks, sizes, strict=True))
    )
    root = _tree(stacks)
    flat = _flatten(root, min_share)
    most = max((abs(node.after - node.before) for node in flat.nodes), default=0.0) or 1.0
    colours = [
        _shade(node.after - node.before, most, ERRORS * math.sqrt(node.variance)) for node in flat.nodes
    ]
    hovers = [
        f"{node.told}<br>{units.size(node.before)} → {units.size(node.after)} "
        f"({'+' if node.after >= node.before else '−'}{units.size(abs(node.after - node.before))})"
        for node in flat.nodes
    ]
    title = f"Change of {diff.measure} bytes, {units.size(root.before)} → {units.size(root.after)}"
    return _figure(flat, root, colours, hovers, title, search)


def flame_page(source: AllocationProfile | ProfileDiff, *, min_share: float = MIN_SHARE) -> str:
    """One HTML page that opens anywhere: the flame graph, a search box, a threshold, the table beside it."""
    draw = flame_diff if isinstance(source, ProfileDiff) else flame
    figure: go.Figure = draw(source, min_share=min_share)  # type: ignore[arg-type]
    table: pd.DataFrame = source.top(200)
    picture = figure.to_html(
        full_html=False, include_plotlyjs=True, div_id="flame", config={"responsive": True}
    )
    return _PAGE.replace("{title}", html.escape(repr(source).strip("<>"))).replace(
        "{table}", table.to_html(escape=True, index=False, border=0, table_id="places")
    ).replace("{found}", json.dumps(_FOUND)).replace("{picture}", picture)  # fmt: skip


def _rooms(profile: AllocationProfile, stack: int) -> list[Room]:
    ids = profile.stack_frames[profile.stack_offsets[stack] : profile.stack_offsets[stack + 1]]
    return [Room(int(profile.rooms[each])) for each in ids]


def _tree(stacks: Iterable[tuple[Sequence[Frame], Sequence[Room], float, float, float]]) -> _Node:
    root = _Node(["all"], None)
    for frames, rooms, before, after, variance in stacks:
        node = root
        width = max(before, after)
        for frame, room in [(None, None), *zip(reversed(frames), reversed(rooms), strict=True)]:
            if frame is not None:
                node = node.children.setdefault(spell(frame), _Node([spell(frame)], room))
            node.before += before
            node.after += after
            node.width += width
            node.variance += variance
    return root


def _flatten(root: _Node, min_share: float) -> _Flat:
    least = max(min_share, 0.0) * root.width
    flat = _Flat([], [], [], 0)
    folded = 0
    waiting: list[tuple[_Node, str, str]] = [(root, "0", "")]
    # Breadth first, so that a cut at MOST_NODES takes the leaves and not whole branches.
    for node, name, parent in waiting:
        if len(flat.ids) >= MOST_NODES:
            folded += 1
            continue
        drawn = sorted(_drawn(node, least), key=lambda each: -each.width)
        folded += len(node.children) - len(drawn)
        while _is_passed(node, drawn):
            (below,) = drawn
            drawn = sorted(_drawn(below, least), key=lambda each: -each.width)
            folded += len(below.children) - len(drawn)
            room = below.room if node.room == Room.RUNTIME else node.room
            node = replace(node, names=[*node.names, *below.names], room=room)
        flat.ids.append(name)
        flat.parents.append(parent)
        flat.nodes.append(node)
        waiting += [(child, f"{name}.{number}", name) for number, child in enumerate(drawn)]
    return _Flat(flat.ids, flat.parents, flat.nodes, folded)


def _fitting(label: str, share: float) -> str:
    """As much of it as there is room for; one that has next to none stays whole, for when it is zoomed into."""
    room = int(share * _LETTERS)
    return label if len(label) <= room or room < _LEAST_LETTERS else label[: room - 1] + "…"


def _drawn(node: _Node, least: float) -> list[_Node]:
    return [child for child in node.children.values() if child.width >= least]


def _is_passed(node: _Node, drawn: Sequence[_Node]) -> bool:
    return (
        len(drawn) == 1
        and node.room in _PASSED
        and (
            drawn[0].room == node.room
            or (Room.RUNTIME in (node.room, drawn[0].room) and drawn[0].room in _PASSED)
        )
        and drawn[0].width >= _ALL_BUT * node.width
    )


def _figure(
    flat: _Flat, root: _Node, colours: list[str], hovers: list[str], title: str, search: str
) -> go.Figure:
    if search:
        lit = [search.casefold() in "\n".join(node.names).casefold() for node in flat.nodes]
        colours = [_FOUND if found else colour for found, colour in zip(lit, colours, strict=True)]
        share = _share_found(flat, lit) / max(root.width, 1.0)
        title += f" · {share:.1%} below “{hover(search)}”"
    if flat.folded:
        title += f" · {flat.folded} small frames folded"
    figure = go.Figure(
        go.Icicle(
            ids=flat.ids,
            labels=[hover(_fitting(node.label, node.width / max(root.width, 1.0))) for node in flat.nodes],
            parents=flat.parents,
            values=[node.width for node in flat.nodes],
            branchvalues="total",
            marker={"colors": colours, "line": {"width": 0.5, "color": "rgba(255,255,255,0.6)"}},
            customdata=["\n".join(map(hover, node.names)) for node in flat.nodes],
            hovertext=hovers,
            hoverinfo="text",
            textposition="middle left",
            tiling={"orientation": "v", "flip": "y"},
            maxdepth=-1,
            sort=False,
        )
    )
    depth = max((name.count(".") for name in flat.ids), default=0)
    style(figure, title, height=int(min(max(320, 22 * (depth + 4)), 1400)))
    figure.update_layout(uniformtext={"minsize": 9, "mode": "hide"}, margin={"l": 8, "r": 8, "b": 8})
    return figure


def _share_found(flat: _Flat, lit: Sequence[bool]) -> float:
    """Width of the frames found, those below another found one not counted twice."""
    inside: dict[str, bool] = {}
    total = 0.0
    for name, parent, node, found in zip(flat.ids, flat.parents, flat.nodes, lit, strict=True):
        above = inside.get(parent, False)
        inside[name] = above or found
        total += node.width if found and not above else 0.0
    return total


def _shade(change: float, most: float, noise: float) -> str:
    if abs(change) <= noise or change == 0:
        return "#cbd5e1"
    strength = 0.25 + 0.75 * min(abs(change) / most, 1.0)
    target = BAD.light if change > 0 else GOOD.light
    parts = [int(target[at : at + 2], 16) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - (255 - part) * strength):02x}" for part in parts)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
:root { color-scheme: light dark }
body { font: 14px system-ui, sans-serif; margin: 1rem }
main { display: grid; grid-template-columns: minmax(0, 3fr) minmax(18rem, 1fr); gap: 1rem; align-items: start }
table { border-collapse: collapse; font-size: 12px } td, th { padding: 2px 6px; text-align: left; cursor: pointer }
#beside { overflow: auto; max-height: 90vh }
@media (max-width: 60rem) { main { grid-template-columns: 1fr } }
</style></head><body>
<h1 style="font-size:1.1rem">{title}</h1>
<p><label>Search <input id="search" type="search" size="30"></label>
<label>At least <input id="least" type="range" min="0" max="5" step="0.1" value="0"></label>
<output id="said">0 %</output>
<output id="found"></output></p>
<main><div>{picture}</div><div id="beside">{table}</div></main>
<script>
(() => {
  const chart = document.getElementById("flame"), trace = chart.data[0];
  const ids = [...trace.ids], parents = [...trace.parents], labels = [...trace.labels];
  const names = [...trace.customdata].map((each) => each.toLowerCase());
  const values = [...trace.values], colours = [...trace.marker.colors], hovers = [...trace.hovertext];
  const search = document.getElementById("search"), least = document.getElementById("least");
  const rows = [...document.querySelectorAll("#places tbody tr")];
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const draw = () => {
    const plain = search.value.toLowerCase(), text = escaped(plain), share = Number(least.value) / 100;
    const keep = ids.map((_, i) => i).filter((i) => i === 0 || values[i] >= share * values[0]);
    const lit = new Map(); let found = 0;
    for (const i of keep) {
      const hit = text !== "" && names[i].includes(text), above = lit.get(parents[i]) || false;
      lit.set(ids[i], above || hit); if (hit && !above) found += values[i];
    }
    const pick = (list) => keep.map((i) => list[i]);
    const shades = keep.map((i) => text !== "" && names[i].includes(text) ? {found} : colours[i]);
    Plotly.restyle(chart, { ids: [pick(ids)], parents: [pick(parents)], labels: [pick(labels)],
      values: [pick(values)], hovertext: [pick(hovers)], "marker.colors": [shades] });
    document.getElementById("said").textContent = least.value + " %";
    document.getElementById("found").textContent =
      text === "" ? "" : (100 * found / values[0]).toFixed(1) + " % found";
    for (const row of rows) row.hidden = plain !== "" && !row.textContent.toLowerCase().includes(plain);
  };
  search.addEventListener("input", draw); least.addEventListener("input", draw);
  for (const row of rows) row.addEventListener("click", () => {
    search.value = row.cells[0].textContent.split(" \\u2192 ")[0]; draw(); });
})();
</script></body></html>
"""
