"""Text out of a heap is hostile: how it is shown as text, and as nothing else, in each medium.

A key or value of the captured process may hold script, markup, terminal escapes, bidirectional overrides,
spreadsheet formulas or ``../``. Each function here takes any object's text and gives what is safe to put
into one medium; none of them trusts its input, and none changes what ordinary text looks like.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "csv_cell",
    "file_name",
    "frame_for_csv",
    "hover",
    "html_text",
    "markdown",
    "markdown_code",
    "plain",
]

#: What a spreadsheet takes for a formula when it opens a CSV file (OWASP, "CSV Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&])")


def plain(text: object, limit: int | None = None) -> str:
    """``text`` with every character that is not printable written out (``\\x1b``, ``\\u202e``, ``\\n``).

    Safe for a terminal and for a line of a log. ``limit`` cuts to that many characters, with an ellipsis.
    """
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in str(text)
    )
    if limit is not None and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return shown


def html_text(text: object, limit: int | None = None) -> str:
    """For the text of an HTML or SVG element and for a quoted attribute."""
    return html.escape(plain(text, limit), quote=True)


def hover(text: object, limit: int | None = 120) -> str:
    """For any text of a plotly figure: plotly renders a part of HTML, and TeX between dollar signs."""
    return html.escape(plain(text, limit), quote=False).replace("$", "&#36;")


def markdown(text: object, limit: int | None = None) -> str:
    """For a line of Markdown (CommonMark and GitHub's tables): no markup, no HTML, no automatic link."""
    shown = _MARKDOWN_SPECIAL.sub(r"\\\1", plain(text, limit))
    shown = re.sub(r"(?i)\b(www)\.", r"\1\\.", shown.replace("://", ":\\//")).replace("@", "\\@")
    shown = re.sub(r"^(\s*)([#+\-=])", r"\1\\\2", shown)
    return re.sub(r"^(\s*\d+)([.)])", r"\1\\\2", shown)


def markdown_code(text: object, limit: int | None = None) -> str:
    """A code span whose fence is longer than any run of backticks inside."""
    shown = plain(text, limit).replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest or shown != shown.strip() or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; anything but text comes back as it is."""
    if not isinstance(value, str):
        return value
    shown = plain(value)
    return f"'{shown}" if value.startswith(_FORMULA_STARTS) or shown.startswith(_FORMULA_STARTS) else shown


def frame_for_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy of ``frame`` whose texts, and whose column names, may be written with ``to_csv``."""
    import pandas as pd

    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = [csv_cell(value) for value in safe[name]]
    safe.columns = pd.Index([csv_cell(name) for name in safe.columns])
    return safe


def file_name(text: object, limit: int = 60) -> str:
    """A file name without separators, dots in front or anything a shell would mind; never empty."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", plain(text)).strip(".-")
    return slug[:limit].rstrip(".-") or "unnamed"
