"""When a capture takes what: the shared clock, without any process."""

from __future__ import annotations

import dataclasses
import itertools
from types import SimpleNamespace

import pytest

from forensics.capture import pacing
from forensics.capture.counters import Sample
from forensics.capture.pacing import Pace


class _Clock:
    """Goes on only while somebody sleeps; in steps of 2^-10 s, so that sums of seconds are exact."""

    def __init__(self) -> None:
        self.now = 4096.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(round(seconds * 1024), 1) / 1024


@pytest.fixture
def clock(monkeypatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def spans(clock: _Clock, pace: Pace, lasting: list[float], every: float) -> list[tuple[float, float]]:
    """(begin, end) of what lasts so long each, seconds since the pace began."""
    found = []
    for number in pace.evenly(len(lasting), every):
        assert number == len(found)
        begin = clock.now - pace.began
        clock.sleep(lasting[number])
        found.append((begin, clock.now - pace.began))
    return found


def test_the_first_is_taken_at_once_and_the_others_at_even_distances(clock):
    said: list[tuple[str, float, float]] = []
    taken = spans(clock, Pace(lambda *told: said.append(told)), [0, 0, 0], 3)
    assert [begin for begin, _ in taken] == pytest.approx([0, 3, 6], abs=0.01)
    assert {stage for stage, *_ in said} == {"waiting"}
    assert all(0 <= done <= total for _, done, total in said)


@pytest.mark.parametrize("lasting", [[31.75, 8.5, 0.25], [1, 40, 1, 12], [5, 5, 5]])
def test_the_distance_is_counted_from_the_end_of_a_slow_one(clock, lasting):
    taken = spans(clock, Pace(), lasting, 12)
    between = [later[0] - earlier[1] for earlier, later in itertools.pairwise(taken)]
    assert between == pytest.approx([12] * (len(lasting) - 1), abs=0.01)
    assert min(between) >= 12
    # … and nothing is waited for after the last
    assert clock.now - 4096 == pytest.approx(sum(lasting) + 12 * (len(lasting) - 1), abs=0.05)


def test_work_after_one_is_taken_is_done_within_the_distance(clock):
    pace, begun = Pace(), []
    for _ in pace.evenly(3, 12):
        begun.append(clock.now - pace.began)
        clock.sleep(5)
        pace.taken()
        clock.sleep(11 if len(begun) == 1 else 20)  # the second time it takes longer than there is
    assert begun == pytest.approx([0, 17, 42], abs=0.01)


def test_a_moment_that_has_gone_by_is_not_waited_for(clock):
    pace = Pace()
    clock.sleep(2)
    pace.until(1)
    assert clock.now - pace.began == 2


class _Trigger:
    """Asks at the second sample, and is finished by the fourth."""

    def __init__(self) -> None:
        self.fed: list[float] = []
        self.sizes: list[int] = []

    def feed(self, sample):
        self.fed.append(sample["time"])
        return SimpleNamespace(take=len(self.fed) == 2, reason="grew", finished=len(self.fed) == 4)

    def took(self, size: int) -> None:
        self.sizes.append(size)


class _Counters:
    """Two samples more each time that somebody looks."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def series(self):
        self.samples += [_sample(float(len(self.samples) + k)) for k in range(2)]
        return SimpleNamespace(samples=list(self.samples))


def _sample(moment: float) -> Sample:
    values = {field.name: 0 for field in dataclasses.fields(Sample)}
    return Sample(**{**values, "time": moment})


def test_a_trigger_sees_every_sample_once_and_ends_it():
    trigger, reasons = _Trigger(), []
    for reason in Pace().when_triggered(trigger, _Counters(), 60):
        reasons.append(reason)
        trigger.took(7)
    assert reasons == ["grew"]
    assert trigger.sizes == [7]
    assert trigger.fed == [0.0, 1.0, 2.0, 3.0]


def test_a_trigger_that_never_asks_ends_with_the_time():
    trigger = _Trigger()
    trigger.feed = lambda sample: SimpleNamespace(take=False, reason="", finished=False)
    assert list(Pace().when_triggered(trigger, _Counters(), 0.3)) == []
