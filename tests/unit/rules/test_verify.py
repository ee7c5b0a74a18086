"""verify: growth before and after, and what may be said of it."""

import numpy as np
import pytest
from heapbuilder import query_response
from servicebuilder import growing

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
