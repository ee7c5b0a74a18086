"""What a capture's tables tell the rules."""

from __future__ import annotations

import pandas as pd
from heapbuilder import heap

from forensics.rules.evidence import Evidence


def test_the_tracers_notes_are_of_what_the_snapshot_holds():
    # GIVEN notes of two snapshots: held, released, and held but fetched after the snapshot
    graph = heap(m={"X": [1]})
    graph.meta["time"] = 100.0
    noted = pd.DataFrame(
        {
            "snapshot": [0, 1, 1, 1],
            "line": [1, 2, 3, 4],
            "time": [50.0, 60.0, 70.0, 100.5],
            "held": [True, True, False, True],
        }
    )
    evidence = Evidence("capture", snapshots=[graph, graph], responses=noted)
    assert evidence.responses_of(0)["line"].tolist() == [1]
    assert evidence.responses_of(1)["line"].tolist() == [2]


def test_notes_without_a_clock_are_all_taken():
    graph = heap(m={"X": [1]})
    graph.meta.pop("time", None)
    noted = pd.DataFrame({"snapshot": [0, 0], "line": [1, 2]})
    assert len(Evidence("capture", snapshots=[graph], responses=noted).responses_of(0)) == 2
    assert Evidence("capture", snapshots=[graph]).responses_of(0) is None
