"""How results look: the same table as text for a terminal and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forensics import tables, units
from forensics.escape import html_text, plain
from forensics.units import size as size_text

if TYPE_CHECKING:
    from .captured import UnusedVariables
    from .census import Census
    from .diff import HeapDiff
    from .graph import HeapGraph
    from .holders import Holders
    from .merged import PathTree
    from .path import Path
    from .query import QueryResult
    from .waste import Waste
    from .what_if import WhatIf

_ROWS = 40


def text_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A title and a table below it; no table where there are no rows."""
    table = tables.text_table(columns, rows, ruled=True) if rows else ""
    return f"{plain(title)}\n\n{table}".rstrip()


def html_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The same as HTML."""
    return tables.html_table(columns, rows, caption=title) if rows else f"<p><b>{html_text(title)}</b></p>"


# -- one function for each kind of result, shared by text and HTML -----------------------------------------------


def _holders(holders: Holders) -> tuple[str, list[str], list[list[str]]]:
    title = f"{len(holders)} holders in a heap of {size_text(holders.total_bytes)}"
    columns = ["share", "retained", "elements", "held by", "element shape", "also held by"]
    rows = [
        [
            f"{100 * h.share:.1f} %", size_text(h.retained_bytes), f"{h.element_count:,}", h.path,
            h.element_shape, ", ".join(h.also_held_by),
        ]
        for h in holders
    ]  # fmt: skip
    return title, columns, rows


def holders_text(holders: Holders) -> str:
    """See ``Holders``."""
    return text_table(*_holders(holders))


def holders_html(holders: Holders) -> str:
    """See ``Holders``."""
    return html_table(*_holders(holders))


def _path(path: Path) -> tuple[str, list[str], list[list[str]]]:
    graph = path._graph
    retained = graph.retained_sizes()
    shown = [step for k, step in enumerate(path.steps[:400]) if k < 40 or k >= len(path) - 40]
    rows = [
        [
            "" if step.kind is None else step.kind.name.lower(), step.label, step.type_name,
            size_text(int(retained[step.object])),
        ]
        for step in shown
    ]  # fmt: skip
    return f"{path}, held by {path.retainer}", ["reference", "name", "type", "retained"], rows


def path_html(path: Path) -> str:
    """See ``Path``."""
    return html_table(*_path(path))


def _census(census: Census) -> tuple[str, list[str], list[list[str]]]:
    total = sum(row.shallow_bytes for row in census)
    objects = sum(row.objects for row in census)
    title = f"{objects:,} objects of {len(census):,} {census.by}s, {size_text(total)}"
    rows = [
        [f"{row.objects:,}", size_text(row.shallow_bytes), size_text(row.retained_bytes), row.name]
        for row in census.rows[:_ROWS]
    ]
    return title, ["objects", "shallow", "retained", census.by], rows


def census_text(census: Census) -> str:
    """See ``Census``."""
    return text_table(*_census(census))


def census_html(census: Census) -> str:
    """See ``Census``."""
    return html_table(*_census(census))


def _what_if(what_if: WhatIf) -> tuple[str, list[str], list[list[str]]]:
    title = (
        f"Without {', '.join(what_if.cuts)}: {size_text(what_if.freed_bytes)} in {what_if.freed_objects:,} "
        f"objects would go"
    )
    if not what_if.still_held:
        title += "; nothing else holds any of it"
    rows = [[size_text(held.bytes), held.retainer.path, held.path.expression] for held in what_if.still_held]
    return title, ["bytes that stay", "held by", "for example"], rows


def what_if_text(what_if: WhatIf) -> str:
    """See ``WhatIf``."""
    return text_table(*_what_if(what_if))


def what_if_html(what_if: WhatIf) -> str:
    """See ``WhatIf``."""
    return html_table(*_what_if(what_if))


def _query(result: QueryResult) -> tuple[str, list[str], list[list[str]]]:
    rows = [["" if cell is None else str(cell) for cell in row] for row in result.rows(_ROWS)]
    more = f", the first {_ROWS} shown" if len(result) > _ROWS else ""
    return units.count(len(result), "row") + more, result.columns, rows


def query_text(result: QueryResult) -> str:
    """See ``QueryResult``."""
    return text_table(*_query(result))


def query_html(result: QueryResult) -> str:
    """See ``QueryResult``."""
    return html_table(*_query(result))


def _path_tree(tree: PathTree) -> tuple[str, list[str], list[list[str]]]:
    rows: list[list[str]] = []
    for depth, part in tree.walk():
        if depth and len(rows) < 2 * _ROWS:
            label = "· " * (depth - 1) + part.label
            standing = f" × {part.standing:,}" if part.standing > 1 else ""
            rows.append(
                [f"{part.objects:,}", size_text(part.shallow_bytes), label, part.type_name + standing]
            )
    title = f"Paths to {tree.objects:,} objects, {size_text(tree.shallow_bytes)}"
    return title, ["objects", "bytes", "path", "type"], rows


def path_tree_text(tree: PathTree) -> str:
    """See ``PathTree``."""
    return text_table(*_path_tree(tree))


def path_tree_html(tree: PathTree) -> str:
    """See ``PathTree``."""
    return html_table(*_path_tree(tree))


def _waste(waste: Waste) -> tuple[str, list[str], list[list[str]]]:
    total = sum(row.bytes for row in waste)
    rows = [[size_text(row.bytes), f"{row.objects:,}", row.kind, row.detail] for row in waste.rows[:_ROWS]]
    return f"{size_text(total)} to be had", ["bytes", "objects", "what", "example"], rows


def waste_text(waste: Waste) -> str:
    """See ``Waste``."""
    return text_table(*_waste(waste))


def waste_html(waste: Waste) -> str:
    """See ``Waste``."""
    return html_table(*_waste(waste))


def _unused(unused: UnusedVariables) -> tuple[str, list[str], list[list[str]]]:
    total = sum(row.retained_bytes for row in unused)
    title = f"{size_text(total)} held by {len(unused):,} captured variables that no living function uses"
    rows = [
        [size_text(row.retained_bytes), f"{row.contexts:,}", row.variable, row.place]
        for row in unused.rows[:_ROWS]
    ]
    return title, ["retained", "contexts", "variable", "of function"], rows


def unused_text(unused: UnusedVariables) -> str:
    """See ``UnusedVariables``."""
    return text_table(*_unused(unused))


def unused_html(unused: UnusedVariables) -> str:
    """See ``UnusedVariables``."""
    return html_table(*_unused(unused))


def _course(said: Sequence[str]) -> str:
    """``46 → 73 → 92``; what stayed the same is said once."""
    return said[0] if len(set(said)) == 1 else " → ".join(said)


def _diff(diff: HeapDiff) -> tuple[str, list[str], list[list[str]]]:
    title = f"{diff.snapshots} snapshots: {len(diff.growing)} of {len(diff.holders)} holders grow"
    columns = ["shape", "confidence", "elements", "bytes", "held by", "new elements"]
    rows = [
        [
            series.shape, f"{series.confidence:.2f}", _course([f"{count:,}" for count in series.elements]),
            _course([size_text(count) for count in series.bytes]), series.path,
            ", ".join(f"{count:,} × {shape}" for shape, count in series.new_element_types),
        ]
        for series in diff.holders[:_ROWS]
    ]  # fmt: skip
    return title, columns, rows


def diff_text(diff: HeapDiff) -> str:
    """See ``HeapDiff``."""
    return text_table(*_diff(diff))


def diff_html(diff: HeapDiff) -> str:
    """See ``HeapDiff``."""
    return html_table(*_diff(diff))


def graph_html(graph: HeapGraph) -> str:
    """A graph: how much there is, by type."""
    title, columns, rows = _census(graph.census())
    return html_table(f"{graph!r}: {title}", columns, rows[:15])
