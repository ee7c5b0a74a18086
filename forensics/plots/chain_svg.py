"""The picture of a reference chain: a static SVG, roots above, DynamoDB data below.

It needs no script, prints well, follows the colour scheme of the page around it and is read by a screen reader
through its title and description. Every text is escaped; a hostile key cannot leave its box.
"""

from __future__ import annotations

import itertools

from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.escape import html_text, plain
from forensics.plots import chain_graph, layout, units
from forensics.plots.palette import css_variables

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 268, 62, 26, 46, 10
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
    rows = layout.layers(
        [node.id for node in sorted(chains.nodes, key=lambda each: -each.retained_bytes)],
        [(edge.source, edge.target) for edge in chains.edges],
    )
    nodes = {node.id: node for node in chains.nodes}
    widest = max((len(row) for row in rows), default=1)
    width = 2 * MARGIN + widest * WIDTH + (widest - 1) * GAP_X
    height = 2 * MARGIN + len(rows) * HEIGHT + max(len(rows) - 1, 0) * GAP_Y + (22 if chains.folded else 0)
    at: dict[int, tuple[float, float]] = {}
    for depth, row in enumerate(rows):
        left = (width - len(row) * WIDTH - (len(row) - 1) * GAP_X) / 2
        for place, number in enumerate(row):
            at[number] = (left + place * (WIDTH + GAP_X), MARGIN + depth * (HEIGHT + GAP_Y))
    heaviest = max((edge.retained_bytes for edge in chains.edges), default=0) or 1
    identity = f"fx-chain-{next(_counter)}"
    parts = [
        f'<svg class="fx-chain" role="img" aria-labelledby="{identity}-t {identity}-d" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{identity}-t">{html_text(title)}</title>',
        f'<desc id="{identity}-d">{html_text(_in_words(chains))}</desc>',
        STYLE,
    ]
    parts += [_edge(edge, at, heaviest) for edge in chains.edges if edge.source in at and edge.target in at]
    parts += [_pill(edge, at) for edge in chains.edges if edge.label and edge.source in at and edge.target in at]
    parts += [_box(nodes[number], *at[number], here=nodes[number].path == here) for number in at]
    if chains.folded:
        note = f"{units.count(chains.folded, 'smaller place')} left out"
        parts.append(f'<text class="small" x="{MARGIN}" y="{height - 8}">{note}</text>')
    return "".join([*parts, "</svg>"])


def _at_most_columns(chains: ReferenceChains, columns: int) -> ReferenceChains:
    """Drop the lightest nodes of every layer that is too wide, with what only they lead to."""
    while True:
        by_weight = sorted(chains.nodes, key=lambda each: -each.retained_bytes)
        rows = layout.layers([node.id for node in by_weight], [(e.source, e.target) for e in chains.edges])
        weight = {node.id: node.retained_bytes for node in chains.nodes}
        wide = next((row for row in rows if len(row) > columns), None)
        if wide is None:
            return chains
        dropped = set(sorted(wide, key=lambda number: -weight[number])[columns:])
        starts = {number for number in rows[0] if number not in dropped}
        edges = [e for e in chains.edges if e.source not in dropped and e.target not in dropped]
        kept = chain_graph._closure(starts, ((e.source, e.target) for e in edges)) - dropped
        chains = chain_graph._keep(chains, kept)


def _box(node: ChainNode, x: float, y: float, *, here: bool) -> str:
    lines = _wrapped(node.label)
    amount = units.size(node.retained_bytes)
    if node.objects > 1:
        amount = f"{units.count(node.objects, 'object')} · {amount}"
    sentence = f"{node.label}: {units.count(node.objects, 'object')} keep {units.size(node.retained_bytes)}"
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


def _ends(edge: ChainEdge, at: dict[int, tuple[float, float]]) -> tuple[float, float, float, float]:
    (ax, ay), (bx, by) = at[edge.source], at[edge.target]
    return ax + WIDTH / 2, ay + HEIGHT, bx + WIDTH / 2, by - 7


def _edge(edge: ChainEdge, at: dict[int, tuple[float, float]], heaviest: int) -> str:
    x1, y1, x2, y2 = _ends(edge, at)
    stroke = 1.2 + 3.3 * edge.retained_bytes / heaviest
    if y2 <= y1:  # backwards: round the right-hand side
        side = max(x1, x2) + WIDTH / 2 + 14
        path = f"M{x1:.0f} {y1:.0f}C{side:.0f} {y1 + 30:.0f} {side:.0f} {y2 - 30:.0f} {x2:.0f} {y2:.0f}"
    else:
        bend = (y2 - y1) / 2
        path = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
    words = f"{edge.label or 'refers to'}: {units.count(edge.references, 'reference')}"
    return (
        f'<g><title>{html_text(words)}</title><path class="edge" d="{path}" style="stroke-width:{stroke:.1f}"/>'
        f'<path class="tip" d="M{x2 - 5:.0f} {y2 - 1:.0f}h10l-5 8z"/></g>'
    )


def _pill(edge: ChainEdge, at: dict[int, tuple[float, float]]) -> str:
    x1, y1, x2, y2 = _ends(edge, at)
    text = plain(edge.label, 26)
    if edge.references > 1:
        text += f"  ×{edge.references:,}"
    share = 0.5 if abs(y2 - y1) < HEIGHT + GAP_Y else 0.2
    x, y = x1 + (x2 - x1) * share, y1 + (y2 - y1) * share
    half = 3.4 * len(text) + 6
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
    names = {node.id: node.label for node in chains.nodes}
    told = [f"{names[edge.source]} refers to {names[edge.target]}" for edge in chains.edges[:20]]
    return "; ".join(told) + "." if told else "No references."
