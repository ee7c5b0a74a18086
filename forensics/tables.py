"""Small tables as text for a terminal and as HTML for a notebook.

Everything that comes out of a heap is hostile text: it is escaped here, once, for both. A terminal's width is kept
to by folding cells, never by cutting them: a path that is cut cannot be looked for.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Collection, Sequence

from forensics.escape import html_text, plain

__all__ = ["fold_lines", "html_table", "terminal_width", "text_table"]

#: A column is not made narrower than this, unless all that stands in it is.
NARROW = 12
#: An HTML cell of no more characters than this is not broken into lines.
UNBROKEN = 32

_GAP = 2
_UNIT = re.compile(r"(?<=\d) (?=(?:[KMG]i?B|[kMG]?B|bytes|%|ms|s|min|h|d|×)(?:\W|$))")
_BREAKS = re.compile(r"(?<=[ /:_\[({])|(?<=[.,])(?=[^\d])")
_LABEL = re.compile(r"\s*\S+(?: \S+)?\s{2,}")


def terminal_width() -> int | None:
    """Columns of the terminal that standard output goes to, or ``COLUMNS``; None where it is a file or a pipe."""
    return shutil.get_terminal_size((0, 0)).columns or None


def text_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    right: Collection[str] | None = None,
    ruled: bool = False,
    width: int | None = None,
) -> str:
    """Columns of text, aligned.

    Parameters
    ----------
    right : columns whose cells stand right; by default those that hold numbers
    ruled : whether a line is drawn below the head
    width : the most characters of a line; by default those of the terminal, without bound where there is none.
        Many wide columns on a narrow terminal may exceed it.
    """
    cells = [[_UNIT.sub("\u00a0", plain(cell)) for cell in row] for row in (columns, *rows)]
    if right is None:
        numbers = [bool(rows) and all(_is_number(row[k]) for row in rows) for k in range(len(columns))]
    else:
        numbers = [name in right for name in columns]
    widths = _widths(cells, numbers, width or terminal_width())
    lines = []
    for place, row in enumerate(cells):
        folded = [_fold(cell, wide) for cell, wide in zip(row, widths, strict=True)]
        for each in range(max(len(cell) for cell in folded)):
            parts = [cell[each] if each < len(cell) else "" for cell in folded]
            aligned = (
                part.rjust(wide) if number else part.ljust(wide)
                for part, wide, number in zip(parts, widths, numbers, strict=True)
            )
            lines.append((" " * _GAP).join(aligned).rstrip().replace("\u00a0", " "))
        if ruled and place == 0:
            lines.append((" " * _GAP).join("-" * wide for wide in widths))
    return "\n".join(lines)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str = "") -> str:
    """The same as HTML, every cell escaped; numbers and short words stay on one line."""
    head = "".join(f"<th style='text-align:left'>{html_text(name)}</th>" for name in columns)
    body = []
    for row in rows:
        cells = []
        for cell in row:
            side = "right" if _is_number(cell) else "left"
            wrap = "nowrap" if len(str(cell)) <= UNBROKEN else "normal"
            cells.append(f"<td style='text-align:{side};white-space:{wrap}'>{html_text(cell, 200)}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    title = f"<p><b>{html_text(caption)}</b></p>" if caption else ""
    return f"<div>{title}<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"


def fold_lines(text: str, width: int | None = None) -> str:
    """Lines of prose folded at blanks to ``width``, by default the terminal's; what follows a label stays under it.

    Lines that quote a command are left whole, for they are copied.
    """
    width = width or terminal_width()
    if width is None:
        return text
    return "\n".join(
        line if len(line) <= width or "check: forensics " in line else _folded_line(line, width)
        for line in text.split("\n")
    )


def _folded_line(line: str, width: int) -> str:
    label = _LABEL.match(line)
    hang = label.end() if label and label.end() <= 20 else len(line) - len(line.lstrip()) + 4
    return textwrap.fill(
        line, width, subsequent_indent=" " * hang, break_long_words=False, break_on_hyphens=False
    )


def _widths(cells: Sequence[Sequence[str]], numbers: Sequence[bool], most: int | None) -> list[int]:
    """The widths of the columns: their contents', less what the widest of them must give for all to fit."""
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    if most is None:
        return widths
    least = []
    for k, number in enumerate(numbers):
        longest = max(len(word) for row in cells for word in row[k].split(" "))
        least.append(longest if number else min(longest, NARROW))
    room = most - _GAP * (len(widths) - 1)
    while sum(widths) > room:
        wide = [k for k in range(len(widths)) if widths[k] > least[k]]
        if not wide:
            break
        widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _fold(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width``, broken at blanks and where a path has its joints."""
    lines, line = [], ""
    for piece in _BREAKS.split(text):
        while len(line) + len(piece.rstrip(" ")) > width:
            if line:
                lines.append(line.rstrip(" "))
                line = ""
            else:
                lines.append(piece[:width])
                piece = piece[width:]
        line += piece
    return [*lines, line.rstrip(" ")]


def _is_number(cell: object) -> bool:
    text = str(cell)
    return text[:1].isdigit() or (text[:1] in "-+−" and text[1:2].isdigit())
