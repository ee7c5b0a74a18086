"""How results look: the same table as text for a terminal and as HTML for a notebook.

Everything that comes out of a heap is hostile text: it is escaped here, once, for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forensics.escape import html_text, plain

if TYPE_CHECKING:
    from .holders import Holders
    from .path import Path

_WIDEST = 72


def size_text(count: float) -> str:
    """``3.4 MB``; decimal units, as the memory limit of a container is given."""
    sign, count = ("-", -count) if count < 0 else ("", count)
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{sign}{count:.0f} {unit}" if unit == "B" else f"{sign}{count:.1f} {unit}"
        count /= 1000
    return f"{sign}{count:.1f} TB"


def text_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in fixed width; numbers stand right."""
    cells = [[plain(cell, _WIDEST) for cell in row] for row in rows]
    widths = [max(len(name), *(len(row[k]) for row in cells), 0) for k, name in enumerate(columns)]
    right = [bool(rows) and all(_is_number(row[k]) for row in rows) for k in range(len(columns))]
    lines = [plain(title), ""]
    for line in [list(columns), ["-" * width for width in widths], *cells]:
        parts = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def html_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The same table as HTML; style comes from the notebook."""
    head = "".join(f"<th style='text-align:left'>{html_text(name)}</th>" for name in columns)
    body = []
    for row in rows:
        cells = []
        for cell in row:
            side = "right" if _is_number(cell) else "left"
            cells.append(f"<td style='text-align:{side}'>{html_text(cell, 200)}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f"<div><p><b>{html_text(title)}</b></p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _is_number(cell: object) -> bool:
    text = str(cell)
    return text[:1].isdigit() or (text[:1] in "-+" and text[1:2].isdigit())


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
    return f"{path.expression}, held by {path.retainer}", ["reference", "name", "type", "retained"], rows


def path_html(path: Path) -> str:
    """See ``Path``."""
    return html_table(*_path(path))
