"""Pictures of fifty thousand elements: aggregated, and true to the whole."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
from heapbuilder import heap

from forensics import plots
from forensics.plots.series import MOST_POINTS

MANY = 50_000


def test_a_series_keeps_its_extremes():
    # GIVEN samples of half a day with one peak among them
    sizes = np.full(MANY, 100.0 * 2**20)
    sizes[31_337] = 900.0 * 2**20
    process = pd.DataFrame({"time": np.arange(MANY, dtype=float), "rss": sizes})
    figure = plots.growth(SimpleNamespace(times=[], snapshots=[], process=process))
    (line,) = [each for each in figure.data if len(each.y)]
    assert len(line.y) <= MOST_POINTS
    assert max(line.y) == 900.0


def test_equal_tiles_are_one():
    graph = heap(m={"PAGES": [{"page": n} for n in range(MANY)]})
    tiles = plots.treemap(graph).data[0]
    assert len(tiles.ids) < 200
    assert any("50,000 × dict" in label for label in tiles.labels)
