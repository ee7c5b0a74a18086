"""When a capture takes what: the shared clock, without any process."""

from __future__ import annotations

import dataclasses
import time
from types import SimpleNamespace

from forensics.capture.counters import Sample
from forensics.capture.pacing import Pace


def test_even_times_begin_at_once_and_keep_their_distance():
    said: list[tuple[str, float, float]] = []
    pace = Pace(lambda *told: said.append(told))
    moments = []
    for number in pace.evenly(3, 0.3):
        moments.append(time.monotonic() - pace.began)
        assert number == len(moments) - 1
    assert moments[0] < moments[1] < moments[2]
    assert moments[1] >= 0.3 and moments[2] >= 0.6
    assert {stage for stage, *_ in said} == {"waiting"}
    assert all(0 <= done <= total for _, done, total in said)


def test_a_slow_snapshot_does_not_push_the_later_ones_back():
    pace = Pace()
    for _ in pace.evenly(3, 0.2):
        time.sleep(0.25)
    spent = time.monotonic() - pace.began
    assert spent >= 0.75
    pace.until(0.1)  # has gone by: returns at once


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
