"""Captured variables that no living function uses: what they are called, where they are, and the bytes they keep.

V8 keeps the variables that the functions of one scope share in one context, and all of it as long as one of the
functions lives. A response that only a dead one used stays with a listener or a timer that was made beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forensics import arrow

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

#: What is said of such a variable.
SAID = "captured; no living function uses it"


@dataclass(frozen=True)
class UnusedVariable:
    """One variable of one function of the program, in all of its contexts.

    Attributes
    ----------
    function, file, line : the function whose variable it is; empty and 0 where the heap does not tell
    variable : its name
    contexts : how many runs of the function left it behind
    retained_bytes : what would go if it were set to null in all of them: what each of these references alone holds
    example : the object that it refers to where that retains most
    """

    function: str
    file: str
    line: int
    variable: str
    contexts: int
    retained_bytes: int
    example: int

    def __str__(self) -> str:
        return f"{self.variable} of {self.place}"

    @property
    def place(self) -> str:
        """``handler (page.js:12)``."""
        return _place(self.function, self.file, self.line)


@dataclass(frozen=True)
class UnusedVariables:
    """All of them in one snapshot that keep something alive, most bytes first."""

    rows: tuple[UnusedVariable, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[UnusedVariable]:
        return iter(self.rows)

    def __str__(self) -> str:
        from .show import unused_text

        return unused_text(self)

    def _repr_html_(self) -> str:
        from .show import unused_html

        return unused_html(self)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each variable, the columns those of ``UnusedVariable``."""
        import pandas as pd

        columns = [field.name for field in dataclasses.fields(UnusedVariable)]
        return pd.DataFrame([dataclasses.astuple(row) for row in self.rows], columns=columns)


def unused_variables(graph: HeapGraph) -> UnusedVariables:
    """See ``HeapGraph.unused_variables``."""
    from .javascript import short

    references = arrow.numbers(graph.unused.column("reference"))
    if not len(references):
        return UnusedVariables(())
    targets = graph.targets[references]
    # The context alone holds it: it goes with the reference. What is held otherwise too does not.
    alone = graph.immediate_dominators()[targets] == graph.sources_of(references)
    retained = np.where(alone, graph.retained_sizes()[targets], 0)
    columns = [graph.unused.column(name).to_pylist() for name in ("function", "file", "line")]
    groups: dict[tuple[str, str, int, int], list[int]] = {}
    for row, key in enumerate(zip(*columns, graph.labels[references].tolist(), strict=True)):
        groups.setdefault(key, []).append(row)
    found = [
        UnusedVariable(
            function,
            short(graph, file),
            line,
            graph.label_text(int(references[rows[0]])),
            len(rows),
            int(retained[rows].sum()),
            int(targets[max(rows, key=retained.__getitem__)]),
        )
        for (function, file, line, _), rows in groups.items()
        if retained[rows].any()
    ]
    return UnusedVariables(tuple(sorted(found, key=lambda each: -each.retained_bytes)))


def is_unused(graph: HeapGraph, references: np.ndarray) -> np.ndarray:
    """bool[k]: which of these references are captured variables that no living function uses."""
    known = arrow.numbers(graph.unused.column("reference"))
    if not len(known):
        return np.zeros(len(references), np.bool_)
    return known[np.minimum(np.searchsorted(known, references), len(known) - 1)] == references


def note(graph: HeapGraph, references: np.ndarray) -> str:
    """What a path along these references has to say of such variables; empty where it leads through none."""
    unused = is_unused(graph, references)
    names = list(dict.fromkeys(graph.label_text(int(e)) for e in references[unused].tolist()))
    if len(names) == 1 and unused[-1]:  # the one that the path ends with
        return SAID
    return "; ".join(f"{name}: {SAID}" for name in names)


def variable_at(graph: HeapGraph, reference: int) -> str:
    """``rows of handler (page.js:12)``: what one of these references is called."""
    from .javascript import short

    row = int(np.searchsorted(arrow.numbers(graph.unused.column("reference")), reference))
    function, file, line = (graph.unused.column(name)[row].as_py() for name in ("function", "file", "line"))
    return f"{graph.label_text(reference)} of {_place(function, short(graph, file), line)}"


def _place(function: str, file: str, line: int) -> str:
    name = function or "anonymous"
    if not file:
        return name
    return f"{name} ({file}:{line})" if line else f"{name} ({file})"
