"""The picture of a reference chain: a static SVG, roots above, DynamoDB data below.

It needs no script, prints well, follows the colour scheme of the page around it and is read by a screen reader
through its title and description. Every text is escaped; a hostile key cannot leave its box.
"""

from __future__ import annotations

import itertools

from forensics import units
from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.escape import html_text, plain
from forensics.plots import chain_graph, layout
from forensics.plots.palette import css_variables

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN, BEND = 268, 62, 26, 46, 10, 12
CHARACTERS = 34

STYLE = (
    f"<style>.fx-chain{{{css_variables()}font-family:system-ui,-apple-system,'Segoe UI',sans-serif;"
    "max-width:100%;height:auto}"
    "[data-jp-theme-light=false] .fx-chain{color-scheme:dark}"
    "[data-jp-theme-light=true] .fx-chain{color-scheme:light}"
    ".fx-chain .box{fill:var(--fx-card);stroke:var(--fx-line)}"
    ".fx-chain .box.here{stroke:var(--fx-bad);stroke-width:2.5}"
    ".fx-chain .edge{fill:none;stroke:var(--fx-muted);opacity:.75}"
    ".fx-chain .tip{fill:var(--fx-muted)}"
    ".fx-chain text{fill:var(--fx-ink);font-size:12.5px}"
    ".fx-chain .name{font-weight:600}"
    ".fx-chain .small{fill:var(--fx-muted);font-size:11px}"
    ".fx-chain .pill{fill:var(--fx-paper);opacity:.92}"
    "@media print{.fx-chain{color-scheme:light}}</style>"
)

_counter = itertools.count(1)


def chain_svg(
    chains: ReferenceChains,
    *,
    title: str = "Reference chains from the roots to the DynamoDB data",
    here: str | None = None,
    limit: int = 14,
    columns: int = 4,
) -> str:
    """SVG text of ``chains``.

    Parameters
    ----------
    title : what the picture shows, for those who cannot see it
    here : path of the node to mark as the place to edit
    limit, columns : at most so many boxes, and boxes side by side; the rest is counted below the picture
    """
    chains = chain_graph.smallest(chains, limit)
    chains = _at_most_columns(chains, columns)
    nodes = {node.id: node for node in chains.nodes}
    picture = _layered(chains)
    widths = [sum(_width(number) for number in row) + GAP_X * (len(row) - 1) for row in picture.rows]
    width = 2 * MARGIN + max(widths, default=0)
    height = 2 * MARGIN + len(widths) * (HEIGHT + GAP_Y) - GAP_Y + (22 if chains.folded else 0)
    at: dict[int, tuple[float, float]] = {}
    for depth, row in enumerate(picture.rows):
        left = (width - widths[depth]) / 2
        for number in row:
            at[number] = (left, MARGIN + depth * (HEIGHT + GAP_Y))
            left += _width(number) + GAP_X
    heaviest = max((edge.retained_bytes for edge in chains.edges), default=0) or 1
    identity = f"fx-chain-{next(_counter)}"
    parts = [
        f'<svg class="fx-chain" role="img" aria-labelledby="{identity}-t {identity}-d" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{identity}-t">{html_text(title)}</title>',
        f'<desc id="{identity}-d">{html_text(_in_words(chains))}</desc>',
        STYLE,
    ]
    routes = [(edge, picture.routes.get((edge.source, edge.target))) for edge in chains.edges]
    parts += [_edge(edge, route, at, heaviest) for edge, route in routes]
    parts += [_pill(edge, route, at) for edge, route in routes if edge.label]
    parts += [_box(node, *at[node.id], here=node.path == here) for node in nodes.values()]
    if chains.folded:
        note = f"{units.count(chains.folded, 'smaller place')} left out"
        parts.append(f'<text class="small" x="{MARGIN}" y="{height - 8}">{note}</text>')
    return "".join([*parts, "</svg>"])


def _layered(chains: ReferenceChains) -> layout.Layered:
    by_weight = sorted(chains.nodes, key=lambda each: -each.retained_bytes)
    return layout.layered([node.id for node in by_weight], [(e.source, e.target) for e in chains.edges])


def _width(number: int) -> int:
    return WIDTH if number >= 0 else BEND


def _at_most_columns(chains: ReferenceChains, columns: int) -> ReferenceChains:
    """Drop the lightest nodes of every layer that is too wide, with what only they lead to."""
    weight = {node.id: node.retained_bytes for node in chains.nodes}
    while True:
        rows = [[number for number in row if number >= 0] for row in _layered(chains).rows]
        wide = next((row for row in rows if len(row) > columns), None)
        if wide is None:
            return chains
        dropped = set(sorted(wide, key=lambda number: -weight[number])[columns:])
        chains = chain_graph.without(chains, dropped, starts=set(rows[0]) - dropped)


def _box(node: ChainNode, x: float, y: float, *, here: bool) -> str:
    name = chain_graph.title(node)
    lines = _wrapped(name)
    amount = units.size(node.retained_bytes)
    if node.objects > 1:
        amount = f"{units.count(node.objects, 'object')} · {amount}"
    elif node.label not in name:
        amount = f"{plain(node.label, 18)} · {amount}"
    # 0 stands for a number that is not known
    many = f"{units.count(node.objects, 'object')} keep" if node.objects else "keeps"
    sentence = f"{node.label}: {many} {units.size(node.retained_bytes)}"
    if node.path:
        sentence += f", reached as {node.path}"
    if node.file:
        sentence += f", at {node.file}:{node.line}"
    colour = f"var(--fx-room-{node.room})" if node.room.isalpha() else "var(--fx-muted)"
    top = y + (26 if len(lines) == 1 else 19)
    names = "".join(
        f'<text class="name" x="{x + 16:.0f}" y="{top + 16 * index:.0f}">{html_text(line)}</text>'
        for index, line in enumerate(lines)
    )
    return (
        f"<g><title>{html_text(sentence)}</title>"
        f'<rect class="box{" here" if here else ""}" x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="7"/>'
        f'<rect x="{x + 1:.0f}" y="{y + 8:.0f}" width="5" height="{HEIGHT - 16}" rx="2.5" style="fill:{colour}"/>'
        f"{names}"
        f'<text class="small" x="{x + 16:.0f}" y="{y + HEIGHT - 10:.0f}">{html_text(amount)}</text>'
        f'<text class="small" x="{x + WIDTH - 10:.0f}" y="{y + HEIGHT - 10:.0f}" text-anchor="end" '
        f'style="fill:{colour}">{html_text(units.plain_label(node.room))}</text></g>'
    )


Route = list[int] | None


def _points(edge: ChainEdge, route: Route, at: dict[int, tuple[float, float]]) -> list[tuple[float, float]]:
    """Where the line passes: out of the lower side of a box, into the upper side of the next."""
    points = []
    for number in route or [edge.source, edge.target]:
        x, y = at[number]
        centre = x + _width(number) / 2
        points += [(centre, y), (centre, y + HEIGHT)]
    points = points[1:-1]
    points[-1] = (points[-1][0], points[-1][1] - 7)
    return points


def _edge(edge: ChainEdge, route: Route, at: dict[int, tuple[float, float]], heaviest: int) -> str:
    stroke = 1.2 + 3.3 * edge.retained_bytes / heaviest
    points = _points(edge, route, at)
    (x1, y1), (x2, y2) = points[0], points[-1]
    if route is None:  # backwards: round the right-hand side
        side = max(x1, x2) + WIDTH / 2 + 14
        path = f"M{x1:.0f} {y1:.0f}C{side:.0f} {y1 + 30:.0f} {side:.0f} {y2 - 30:.0f} {x2:.0f} {y2:.0f}"
    else:
        path = f"M{x1:.0f} {y1:.0f}"
        for (ax, ay), (bx, by) in itertools.pairwise(points):
            middle = (ay + by) / 2
            path += f"C{ax:.0f} {middle:.0f} {bx:.0f} {middle:.0f} {bx:.0f} {by:.0f}"
    words = edge.label or "refers to"
    if edge.references:
        words += f": {units.count(edge.references, 'reference')}"
    return (
        f'<g><title>{html_text(words)}</title><path class="edge" d="{path}" style="stroke-width:{stroke:.1f}"/>'
        f'<path class="tip" d="M{x2 - 5:.0f} {y2 - 1:.0f}h10l-5 8z"/></g>'
    )


def _pill(edge: ChainEdge, route: Route, at: dict[int, tuple[float, float]]) -> str:
    (x1, y1), (x2, y2) = _points(edge, route, at)[:2]
    text = plain(edge.label, 24)
    if edge.references > 1:
        text += f" ×{edge.references:,}"
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    half = 3.1 * len(text) + 7
    return (
        f'<rect class="pill" x="{x - half:.0f}" y="{y - 9:.0f}" width="{2 * half:.0f}" height="17" rx="8"/>'
        f'<text class="small" x="{x:.0f}" y="{y + 3.5:.0f}" text-anchor="middle">{html_text(text)}</text>'
    )


def _wrapped(label: str) -> list[str]:
    """One line or two of at most ``CHARACTERS``; cut in the middle, where a path tells least."""
    text = plain(label)
    if len(text) <= CHARACTERS:
        return [text]
    if len(text) > 2 * CHARACTERS:
        text = text[: CHARACTERS - 1] + "…" + text[-(CHARACTERS - 2) :]
    cuts = [text.rfind(mark, 10, CHARACTERS) for mark in (" ", ".", "[", "/")]
    cut = max(cuts)
    if cut < len(text) - CHARACTERS:
        cut = CHARACTERS
    return [text[:cut].rstrip(), text[cut:].lstrip()[:CHARACTERS]]


def _in_words(chains: ReferenceChains) -> str:
    names = {node.id: chain_graph.title(node) for node in chains.nodes}
    told = [f"{names[edge.source]} refers to {names[edge.target]}" for edge in chains.edges[:20]]
    return "; ".join(told) + "." if told else "No references."
