"""The demo's own capture: a service that leaks is not headed by the resident set's "warm-up"."""

from pathlib import Path

import pytest

import forensics as fx
from forensics.report.material import gather
from forensics.report.summary import five_lines

CAPTURES = Path(__file__).parents[3] / "captures" / "fastapi"


def test_the_leaking_service_is_not_said_to_warm_up():
    capture = fx.open(CAPTURES / "leaking")
    assert capture.growth is not None and capture.growth.shape == "cannot tell yet"
    line = dict(capture.summary())["growth"]
    assert line.startswith("of the resident set: cannot tell yet") and "warm-up" not in line
    behaviour = five_lines(gather(capture))[1][1]
    assert "warm-up" not in behaviour and "the objects of the snapshots grow" in behaviour


def test_the_mended_service_keeps_its_plateau():
    capture = fx.open(CAPTURES / "mended")
    assert capture.growth is not None and capture.growth.shape == "plateau"


@pytest.mark.parametrize(("service", "growing"), [("leaking", ["orders.api.RESPONSES"]), ("mended", [])])
def test_what_the_diff_calls_growing(service, growing):
    found = fx.open(CAPTURES / service).diff()
    assert [series.path for series in found.growing] == growing
    for series in found.holders:
        assert series.grown_bytes <= 0 or series.shape != "shrinking"
        assert series.grown_bytes >= 0 or series.shape != "growing"
