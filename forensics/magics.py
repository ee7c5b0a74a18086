"""``%load_ext forensics``: look at the notebook kernel's own heap while you work in it.

``%heap_growth`` counts what the collector tracks (objgraph) and weighs it (pympler); ``%heap_holders`` walks the
whole heap with our own walker, untracked objects too, and names who holds most.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from IPython import get_ipython
from IPython.core.magic import Magics, line_magic, magics_class

from forensics import units
from forensics.escape import plain

__all__ = ["HeapMagics", "load_ipython_extension"]


@magics_class
class HeapMagics(Magics):
    """The state between two calls of ``%heap_growth``: counts and bytes by type, of this kernel only."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._peaks: dict[str, int] = {}
        self._weights: list[Any] | None = None

    @line_magic
    def heap_growth(self, line: str) -> pd.DataFrame:
        """Types that grew since the last call: objects, new objects, new MiB.  ``%heap_growth [LIMIT]``"""
        import objgraph
        from pympler import muppy, summary

        limit = _number(line, 15)
        counted = objgraph.growth(limit=100_000, peak_stats=self._peaks)  # the collector has run by now
        weights = summary.summarize(muppy.get_objects(include_frames=False))
        before = {row[0]: row[2] for row in self._weights or []}
        moved = {_short(row[0]): row[2] - before.get(row[0], 0) for row in weights}
        first, self._weights = self._weights is None, weights
        table = pd.DataFrame(
            [(plain(name, 80), total, new, units.mib(moved.get(name, 0))) for name, total, new in counted],
            columns=["type", "objects", "new objects", "new MiB"],
        )
        note = "first call: everything counts as new" if first else "since the last call"
        table = table.sort_values("new MiB" if not first else "objects", ascending=False).head(limit)
        table.attrs["note"] = note
        return table.reset_index(drop=True)

    @line_magic
    def heap_holders(self, line: str) -> Any:
        """Who holds most in this kernel: path, elements, retained bytes.

        ``%heap_holders [LIMIT]``, or ``%heap_holders EXPRESSION`` for one object of yours: its size with all
        that hangs below it (pympler) and the shortest chain that keeps it (objgraph).
        """
        expression = line.strip()
        if expression and not expression.isdigit():
            return self._one(expression)
        return own_heap().holders(limit=_number(line, 15))

    def _one(self, expression: str) -> pd.DataFrame:
        import objgraph
        from pympler import asizeof

        value = get_ipython().ev(expression)
        chain = objgraph.find_backref_chain(value, objgraph.is_proper_module, max_depth=20)
        words = " → ".join(plain(_named(each), 60) for each in chain[:-1])
        return pd.DataFrame(
            {
                "of": [plain(expression, 80)],
                "type": [plain(type(value).__name__, 80)],
                "MiB with all below": [units.mib(asizeof.asizeof(value))],
                "kept by": [words or "no module refers to it"],
            }
        )


def own_heap() -> Any:
    """A ``HeapGraph`` of this very process, walked in a forked child; nothing stays on disk."""
    from forensics import agent
    from forensics.capture.take import Order, take
    from forensics.investigation import open_capture

    agent.start()
    with tempfile.TemporaryDirectory(prefix="forensics-") as folder:
        taken = take(os.getpid(), Path(folder) / "kernel", Order(via="agent"))
        # The files stay mapped after the folder is gone: Linux keeps them until the graph goes.
        return open_capture(taken).snapshots[0]


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext forensics`` calls."""
    shell.register_magics(HeapMagics)


def _number(line: str, default: int) -> int:
    text = line.strip()
    return int(text) if text.isdigit() else default


def _short(pympler_name: str) -> str:
    """pympler writes ``<class 'a.b.C``, objgraph ``C``."""
    return pympler_name.removeprefix("<class '").rstrip("'>").rsplit(".", 1)[-1]


def _named(value: Any) -> str:
    name = getattr(value, "__name__", None) if isinstance(value, type(os)) else None
    return f"module {name}" if name else type(value).__name__
