"""Conditions and when they fire; time is made up, never slept."""

from __future__ import annotations

import pytest

from forensics.growth.triggers import Bounds, TriggerError, Watch, parse


@pytest.mark.parametrize(
    ("text", "metric", "threshold", "of_limit", "seconds"),
    [
        ("rss > 80%", "rss", 0.8, True, 0),
        ("rss>1.5GB", "rss", 1.5e9, False, 0),
        ("cgroup >= 512MiB for 30s", "cgroup", 512 << 20, False, 30),
        ("growth > 1MB/min for 5m", "growth", 1e6 / 60, False, 300),
        ("growth > 2% / h", "growth", 0.02 / 3600, True, 0),
        ("Threads > 200 for 2 min", "threads", 200, False, 120),
        ("descriptors < 10", "descriptors", 10, False, 0),
    ],
)
def test_parsed(text, metric, threshold, of_limit, seconds):
    condition = parse(text)
    assert (condition.metric, condition.of_limit, condition.seconds) == (metric, of_limit, seconds)
    assert condition.threshold == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "cannot be read"),
        ("rss", "cannot be read"),
        ("rss > 80% or threads > 1", "cannot be read"),
        ("swap > 1GB", "is not measured"),
        ("rss > 5 parsecs", "has the unit 'parsecs'"),
        ("growth > 1MB", "needs a rate"),
        ("rss > 1MB/min", "has a rate"),
        ("threads > 5MB", "is a count"),
        ("growth > 1MB/fortnight", "has the time 'fortnight'"),
        ("rss > 1MB for 5 moons", "names no time"),
        ("__import__('os') > 1", "cannot be read"),
    ],
)
def test_refused_with_an_example(text, complaint):
    with pytest.raises(TriggerError, match=complaint.replace("(", r"\(")) as caught:
        parse(text)
    assert caught.value.advice and caught.value.data["text"] == text


def fired(watch: Watch, series, size: int = 1000) -> list[tuple[float, str]]:
    out = []
    for sample in series:
        decision = watch.feed(sample)
        if decision.take:
            watch.took(size)
            out.append((sample["time"], decision.reason))
    return out


def samples(values, limit=None, step=1.0, **more):
    return [{"time": k * step, "rss": value, "cgroup_limit": limit, **more} for k, value in enumerate(values)]


def test_baseline_first_then_when_it_begins_to_hold():
    watch = Watch([parse("rss > 80%")], Bounds(seconds_between=0))
    series = samples([50, 79, 81, 90, 95, 70, 85, 86], limit=100)
    assert fired(watch, series) == [(0, "baseline at the start"), (2, "rss > 80%"), (6, "rss > 80%")]


def test_for_must_hold_all_the_time():
    watch = Watch([parse("rss > 10B for 5s")], Bounds(seconds_between=0))
    values = [11] * 4 + [9] + [11] * 8
    assert [moment for moment, _ in fired(watch, samples(values))] == [0, 10]


def test_growth_over_its_time():
    watch = Watch([parse("growth > 1MB/min for 60s")], Bounds(seconds_between=0))
    slow = [100e6 + 0.9e6 / 60 * k for k in range(120)]
    fast = [slow[-1] + 1.2e6 / 60 * k for k in range(1, 200)]
    moments = [moment for moment, _ in fired(watch, samples(slow + fast))]
    assert moments[0] == 0 and 130 < moments[1] < 185 and len(moments) == 2


def test_spike_is_not_growth():
    watch = Watch([parse("growth > 1MB/min for 60s")], Bounds(seconds_between=0))
    values = [100e6] * 200
    values[100] = 900e6
    assert len(fired(watch, samples(values))) == 1


def test_percentage_without_a_limit_never_fires():
    watch = Watch([parse("rss > 1%")], Bounds(seconds_between=0))
    assert len(fired(watch, samples([50, 99, 100]))) == 1


def test_count_and_disk_are_bounded():
    flapping = samples([1, 99] * 50)
    assert len(fired(Watch([parse("rss > 50B")], Bounds(3, 1 << 40, 0)), flapping)) == 3
    watch = Watch([parse("rss > 50B")], Bounds(100, 3500, 0))
    assert len(fired(watch, flapping, size=1000)) == 3
    assert watch.taken_bytes <= 3500
    assert watch.feed({"time": 1000.0, "rss": 1}).finished


def test_one_too_soon_waits_until_the_pause_is_over():
    watch = Watch([parse("rss > 50B")], Bounds(seconds_between=10))
    values = [1, 1, 99, 99, 1] + [99] * 20
    # the baseline holds up nothing; the next has to wait for ten seconds after the first that was asked for
    assert [moment for moment, _ in fired(watch, samples(values))] == [0, 2, 12]


def test_one_that_is_over_before_the_pause_is_goes_by():
    watch = Watch([parse("rss > 50B")], Bounds(seconds_between=10))
    assert [moment for moment, _ in fired(watch, samples([1, 99, 1, 99] + [1] * 20))] == [0, 1]


def test_heap_counts_what_lies_in_the_interpreters_own_arenas():
    """Small objects are no part of malloc's count: a service that leaks dicts leaves that where it is."""
    asked = parse("heap > 10MB")
    leak = [
        {"time": float(k), "rss": 1.0, "malloc_in_use": 4_000_000, "python_blocks": 20_000 * k}
        for k in range(10)
    ]
    ((_, baseline), (moment, reason)) = fired(Watch([asked], Bounds(seconds_between=0)), leak)
    assert "baseline" in baseline and reason == asked.text
    uses = asked.value(leak[int(moment)])
    assert uses > 10e6 >= asked.value(leak[int(moment) - 1]) and uses > leak[int(moment)]["malloc_in_use"]
    # where the interpreter's own are not known, malloc's are compared alone
    assert asked.value({"time": 1.0, "malloc_in_use": 5, "python_blocks": None}) == 5
    assert asked.value({"time": 1.0, "malloc_in_use": None, "python_blocks": 5}) is None


def test_missing_values_hold_nothing():
    watch = Watch([parse("threads > 1")], Bounds(seconds_between=0))
    assert len(fired(watch, samples([1, 1, 1], threads=None))) == 1
    assert not watch.feed({"rss": 1.0}).take
