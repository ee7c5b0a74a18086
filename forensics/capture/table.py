"""Small tables as text and as HTML, for the results of this room."""

from __future__ import annotations

from collections.abc import Sequence

from forensics.escape import html_text, plain


def text_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[str] = frozenset()
) -> str:
    """Columns of text, aligned; those named in ``right`` to the right."""
    cells = [list(columns), *[[plain(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    lines = []
    for row in cells:
        aligned = (
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, row, widths, strict=True)
        )
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "") -> str:
    """The same as an HTML table; every cell is escaped."""
    head = "".join(f"<th>{html_text(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{html_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{html_text(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def size(n_bytes: float) -> str:
    """Bytes as a person reads them: 1.5 GB, 310 MB, 12 kB (powers of 1024)."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if n_bytes >= unit:
            value = n_bytes / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{n_bytes:.0f} B"


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 12 ms, 3.4 s, 5 min, 2.5 h, 12 d."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            value = seconds / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{seconds:.1f} s"
