"""Censuses of one capture side by side: which container has how many elements, and which grew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import FormatError

if TYPE_CHECKING:
    import pandas as pd


def table(files: Sequence[Path]) -> pd.DataFrame:
    """One row for each path and kind, those that grew most first.

    Parameters
    ----------
    files : what ``forensics.capture.node.census`` wrote, oldest first

    Raises
    ------
    FormatError : one is damaged.
    """
    import pandas as pd

    columns = [f"elements {number}" for number in range(len(files))]
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for column, file in zip(columns, files, strict=True):
        for path, kind, shape, elements in _read(file):
            row = rows.setdefault((path, kind), {"path": path, "kind": kind, "shape": shape})
            row[column] = max(elements, int(str(row.get(column, 0))))
    made = pd.DataFrame(list(rows.values()), columns=["path", "kind", "shape", *columns])
    made[columns] = made[columns].fillna(0).astype("int64")
    grown = made[columns[-1]] - made[columns[0]] if len(columns) > 1 else made[columns[-1]]
    order = pd.DataFrame({"grown": grown, "last": made[columns[-1]]})
    return made.loc[order.sort_values(["grown", "last"], ascending=False).index].reset_index(drop=True)


def lines(counted: pd.DataFrame, limit: int = 12) -> list[str]:
    """What a summary says of the first rows of ``table``."""
    columns = [name for name in counted.columns if name.startswith("elements ")]
    said = []
    for row in counted.head(limit).to_dict("records"):
        elements = " → ".join(f"{row[column]:,}" for column in columns)
        said.append(
            f"{row['path']}  {row['kind']}, {elements} elements"
            + (f" of {{{row['shape']}}}" if row["shape"] else "")
        )
    return said


def _read(file: Path) -> list[tuple[str, str, str, int]]:
    try:
        rows = json.loads(file.read_text())
        return [
            (str(row["path"]), str(row["kind"]), ", ".join(map(str, row["shape"])), int(row["elements"]))
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(
            f"{file.name} is no census: {type(error).__name__} at {str(error)[:200]}.",
            advice="The capture is damaged; copy it again, or take it again.",
            path=str(file),
        ) from error
