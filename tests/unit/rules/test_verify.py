"""verify: growth before and after, and what may be said of it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from heapbuilder import query_response
from servicebuilder import growing

from forensics.activity import activity
from forensics.errors import BundleError
from forensics.verify import rate_with_interval, verify

SERVICE = """
RESPONSES = {}
def orders(client, customer):
    RESPONSES[customer] = client.query(TableName="Orders", KeyConditionExpression="c = :c")
"""


def service(*counts):
    return growing(SERVICE, lambda names, n: names["RESPONSES"].update({n: query_response(4)}), counts=counts)


def test_fixed():
    result = verify(service(10, 20, 30), service(0, 0, 0))
    assert (result.verdict, result.fixed, result.exit_code) == ("fixed", True, 0)
    (cause,) = result.causes
    assert cause.path == "orders.api.RESPONSES"
    assert cause.before.bytes_per_second > 0
    assert cause.retained_before > 0
    assert cause.retained_after == 0


def test_bounded_is_fixed_too():
    assert verify(service(10, 20, 30), service(12, 12, 12)).verdict == "fixed"


def test_not_fixed():
    result = verify(service(10, 20, 30), service(10, 20, 30))
    assert (result.verdict, result.exit_code) == ("not fixed", 1)


def test_better():
    result = verify(service(20, 60, 100, 140), service(10, 15, 20, 25))
    assert result.verdict == "better"
    assert not result.fixed


def test_one_snapshot_after_cannot_tell_and_says_what_to_capture():
    result = verify(service(10, 20, 30), service(5))
    assert result.verdict == "cannot tell"
    assert any("--snapshots" in advice for advice in result.advice)
    assert result.exit_code == 1


def at_work(evidence, processors, *, requests=None, paused=0.0):
    """The same, and what its process used in ten seconds, after a snapshot for which it stood still."""
    times = np.arange(0.0, 11 + paused)
    worked = np.where(times[1:] <= paused, 1.0, processors)
    table = pd.DataFrame({"time": times, "cpu_seconds": 3.0 + np.concatenate([[0], np.cumsum(worked)])})
    if requests is not None:
        table["requests"] = np.linspace(100, 100 + requests, len(times)).astype(int)
    snapshot = {"taken_at": 0.0, "pause_seconds": paused}
    return dataclasses.replace(
        evidence, process=table, manifest={**evidence.manifest, "snapshots": [snapshot]}
    )


@pytest.mark.parametrize(
    ("was", "now", "requests", "verdict"),
    [
        (0.5, 0.002, None, "cannot tell"),
        (0.5, 0.02, None, "fixed"),  # a mended service may need far less
        (0.02, 0.008, None, "fixed"),  # little load before, little after
        (0.5, 0.002, 40, "fixed"),  # it was asked
        (0.5, 0.5, 0, "cannot tell"),  # it was busy with something else
    ],
)
@pytest.mark.parametrize("paused", [0.0, 6.0])
def test_an_idle_service_proves_nothing(was, now, requests, verdict, paused):
    after = at_work(service(0, 0, 0), now, requests=requests, paused=paused)
    result = verify(at_work(service(10, 20, 30), was), after)
    assert result.verdict == verdict, str(result)
    assert activity(after).processors == pytest.approx(now)


def traced(evidence, calls):
    """The same, and what a tracer has seen: so many calls in each second, listed by every snapshot after them."""
    rows = [
        {"snapshot": snapshot, "tag_address": 16 * number, "time": evidence.times[0] + (number + 0.5) / calls}
        for snapshot, at in enumerate(evidence.times)
        for number in range(int(calls * (at - evidence.times[0])))
    ]
    table = pd.DataFrame(rows, columns=["snapshot", "tag_address", "time"])
    return dataclasses.replace(evidence, responses=table)


@pytest.mark.parametrize(("calls", "verdict"), [(0.1, "cannot tell"), (2.0, "fixed")])
def test_a_mended_service_that_makes_its_calls_was_at_work_however_little_it_needs(calls, verdict):
    before = traced(at_work(service(10, 20, 30), 0.13), 2.0)
    after = traced(at_work(service(0, 0, 0), 0.009), calls)
    assert activity(before).calls == pytest.approx(2.0, rel=0.1)
    assert verify(before, after).verdict == verdict


def test_nothing_is_said_of_a_process_that_stood_still_nearly_all_the_time():
    table = pd.DataFrame({"time": [0.0, 1.0, 2.0, 3.0, 4.0], "cpu_seconds": [1.0, 2.0, 3.0, 4.0, 4.0]})
    manifest = {"snapshots": [{"taken_at": 0.0, "pause_seconds": 2.9}]}
    evidence = dataclasses.replace(service(0, 0, 0), process=table, manifest=manifest)
    assert activity(evidence).processors is None


def test_what_still_grows_is_not_fixed_however_little_there_was_to_do():
    result = verify(at_work(service(10, 20, 30), 0.5), at_work(service(10, 20, 30), 0.001))
    assert result.verdict == "not fixed"


def test_captures_of_different_runtimes_are_not_compared():
    with pytest.raises(BundleError, match="one of node"):
        verify(service(10, 20, 30), dataclasses.replace(service(0, 0, 0), runtime="node"))


def test_a_new_leak_is_a_cause():
    result = verify(service(0, 0, 0), service(10, 20, 30))
    assert [cause.verdict for cause in result.causes] == ["not fixed"]


def test_text_html_and_table_say_the_same():
    result = verify(service(10, 20, 30), service(0, 0, 0))
    for text in ("fixed", "orders.api.RESPONSES"):
        assert text in str(result)
        assert text in result._repr_html_()
        assert text in result.to_json()
    assert result.to_pandas()["verdict"].tolist() == ["fixed"]


def test_interval_holds_the_slope_it_was_drawn_from():
    random = np.random.default_rng(3)
    seconds = np.arange(8.0)
    inside = 0
    for _ in range(200):
        rate = rate_with_interval(100 * seconds + random.normal(0, 40, 8), seconds)
        inside += rate.low <= 100 <= rate.high
    assert inside / 200 == pytest.approx(0.95, abs=0.05)


def test_two_points_have_no_interval():
    rate = rate_with_interval([0, 10], [0.0, 2.0])
    assert (rate.bytes_per_second, rate.low, rate.high) == (pytest.approx(5.0), None, None)
