"""The capture of the FastAPI service that comes along: object graphs, tracer and allocations of one time."""

from __future__ import annotations

import re

import pytest

import forensics as fx
from forensics.lab import bundled_capture

#: Where a common installation has its programs and packages; and what is no file.
COMMON = (b"/srv/orders/", b"/usr/local/", b"/home/orders/", b"/proc/")


@pytest.fixture(scope="module")
def leaking() -> fx.Capture:
    return fx.open(bundled_capture("leaking"))


def test_both_sides_of_the_leak_are_in_it(leaking):
    (finding,) = [each for each in leaking.findings() if each.retainer.path == "orders.api.RESPONSES"]
    told = "\n".join(finding.evidence)
    assert "held there: orders.api.RESPONSES" in told
    assert re.search(r"allocated here: orders/db\.py:\d+ query_orders → Query, .* by address", told)
    assert re.search(
        r"traced: \d+ Query responses of Orders fetched at /srv/orders/app/orders/db\.py:\d+", told
    )


def test_the_recording_tells_nothing_of_its_machine(leaking):
    (recording,) = leaking.allocations
    files = set(re.findall(rb"(?<=\0)/[\w./-]+\.py(?=\0)", recording.read_bytes()))
    assert len(files) > 50
    assert not {file for file in files if not file.startswith(COMMON)}
