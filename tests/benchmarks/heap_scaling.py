"""How the cost of the heap engine grows: `python tests/benchmarks/heap_scaling.py [PLOT.html] [most objects]`.

Processor seconds for dominators, retained sizes, nearest paths and holders on graphs of 100k objects up, three
references each; the same divided by n log n; and as a multiple of the plainest sweep over the same references, which
only marks what is alive. That sweep is linear, and yet its cost for each object rises where the graph outgrows the
processor's caches: what the engine's cost rises beyond n log n is this, if the multiple rises no faster than log n.
Writes a plot where a file is named.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from forensics.heap import EdgeKind, HeapGraph
from tests.benchmarks.heap_dominators import heap_like

SWEEP = "marking what is alive"
SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)


def measure(n: int) -> dict[str, float]:
    offsets, targets = heap_like(n)
    kinds = np.full(len(targets), EdgeKind.ITEM, np.uint8)
    graph = HeapGraph.from_arrays(
        offsets, targets, np.full(n, 64, np.int64), np.zeros(1, np.int32), kinds=kinds
    )
    steps: dict[str, Callable[[], object]] = {
        SWEEP: graph.alive_without,
        "dominators and retained sizes": graph.dominator_tree,
        "nearest paths": graph.nearest,
        "holders": graph.holders,
    }
    seconds = {}
    for name, step in steps.items():
        begin = time.process_time()
        step()
        seconds[name] = time.process_time() - begin
    return seconds


def main(plot: str | None, most: int) -> None:
    measure(1000)  # compiled, or read from numba's cache
    rows = []
    for n in [n for n in SIZES if n <= most]:
        seconds = measure(n)
        rows.append((n, seconds))
        unit = n * math.log2(n)
        told = "   ".join(
            f"{name} {s:6.2f} s ({1e9 * s / unit:5.2f} ns, {s / seconds[SWEEP]:4.1f} x)"
            for name, s in seconds.items()
        )
        print(f"{n:>11,} objects   {told}   in brackets: for each n log2 n; as a multiple", flush=True)
    if plot:
        import plotly.graph_objects as go

        figure = go.Figure()
        for name in rows[0][1]:
            figure.add_scatter(
                x=[n for n, _ in rows], y=[s[name] for _, s in rows], name=name, mode="lines+markers"
            )
        first = sum(rows[0][1].values()) / (rows[0][0] * math.log2(rows[0][0]))
        figure.add_scatter(
            x=[n for n, _ in rows],
            y=[first * n * math.log2(n) for n, _ in rows],
            name="n log n",
            line={"dash": "dot"},
        )
        figure.update_layout(
            title="Cost of the heap engine", xaxis={"type": "log", "title": "objects"},
            yaxis={"type": "log", "title": "processor seconds"},
        )  # fmt: skip
        figure.write_html(plot, include_plotlyjs="directory")


if __name__ == "__main__":
    main(
        sys.argv[1] if len(sys.argv) > 1 else None,
        int(sys.argv[2].replace("_", "")) if len(sys.argv) > 2 else 10**7,
    )
