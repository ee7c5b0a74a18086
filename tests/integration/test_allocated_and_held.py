"""Allocated here, held there: a live service, its object graphs and its allocations of the same seconds."""

from __future__ import annotations

import re

import pytest

import forensics as fx
from forensics.capture import injector
from forensics.investigation import Capture
from forensics.plots.flame_graph import flame
from forensics.specimens.load import Load
from forensics.specimens.service import Service, fastapi

pytestmark = pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or "")


@pytest.fixture(scope="module")
def captured(moto, tmp_path_factory) -> Capture:
    """The leaking specimen under load: three snapshots while its allocations are recorded."""
    folder = tmp_path_factory.mktemp("joined") / "capture"
    with Service(fastapi("leaking"), moto) as service, Load(service.url, orders=400, per_second=30) as load:
        load.wait_for(30)
        fx.capture(service.pid, to=folder, snapshots=3, every=2, allocations=5)
        result = load.stop()
    assert (result.failed, result.failures) == (0, {})
    return fx.open(folder)


def test_the_finding_says_where_it_was_allocated_and_where_it_is_held(captured: Capture) -> None:
    findings = captured.findings()
    finding = next(each for each in findings if each.retainer.path == "orders.api.RESPONSES")
    print(finding.to_text())
    (held,) = (line for line in finding.evidence if line.startswith("held there: "))
    assert held.startswith("held there: orders.api.RESPONSES (module-variable, ") and "orders/api.py:" in held
    here = next(line for line in finding.evidence if line.startswith("allocated here: "))
    assert re.match(r"allocated here: orders/db\.py:\d+ query_orders → Query, ", here)
    assert here.endswith("by address")
    # THEN the elements that came while it was recorded were found, nearly all of them
    found, elements = map(int, re.search(r"(\d+) of (\d+) elements", here).groups())
    series = next(line for line in finding.evidence if line.startswith("elements over")).rpartition(": ")[2]
    first, last = (int(each) for each in (series.split(" → ")[0], series.split(" → ")[-1]))
    assert elements == last
    assert found >= 0.9 * (last - first)
    assert float(re.search(r"confidence (\d\.\d+)", here)[1]) > 0.85


def test_recorded_allocations_are_drawn_as_a_flame(captured: Capture) -> None:
    """``--allocations`` of a live process: the file is in the capture, is read, shown, and drawn."""
    (file,) = captured.allocations
    assert file.name in str(captured)
    profile = captured.profiles[0]
    assert profile.origin.complete
    # THEN it was recorded for the seconds asked for, and on until the last snapshot was taken
    assert profile.origin.seconds >= 4.5
    assert profile.origin.end >= captured.times[-1] - 0.5
    figure = flame(profile, measure="live")
    (trace,) = (each for each in figure.data if each.type in ("icicle", "treemap", "sunburst"))
    labels = list(trace.labels)
    assert any("query_orders" in each for each in labels), labels[:30]
    assert max(trace.values) == profile.total("live")
