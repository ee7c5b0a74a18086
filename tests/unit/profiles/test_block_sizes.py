"""Sizes of blocks out of bytes alone: against figures that jemalloc 5.3.1 wrote, and against samples drawn here."""

from __future__ import annotations

import numpy as np
import pytest

from forensics.profiles.block_sizes import least_mean, unsampled

PERIOD = 1 << 14
#: Live bytes of four stacks over four profiles, as jemalloc_pprof wrote them: each block a value of 24,000 bytes, which
#: lies in one of 24,576.
VALUES = [
    [254889, 446056, 605362, 700946],
    [31861, 127444, 254889, 350472],
    [31861, 31861, 31861, 159305],
    [31861, 31861, 31861, 31861],
]
#: The same of strings of some ten bytes, and of maps of 20 attributes.
STRINGS = [[16392, 16392, 16392, 32780], [16400, 16400, 32784, 32776]]
MAPS = [[17961, 35922, 53884, 71845]]


def test_the_figures_of_jemalloc_are_foretold():
    for figure, count in ((31861, 1), (127444, 4), (254889, 8), (446056, 14), (700946, 22)):
        assert unsampled(24576, count, PERIOD)[0] == pytest.approx(figure, abs=1)
    assert [unsampled(3072, count, PERIOD)[0] for count in (1, 2, 3, 4)] == MAPS[0]


def test_blocks_of_one_class_are_told_by_their_figures():
    # one sample alone gives 24,884: jemalloc rounds
    assert 24576 <= least_mean(np.array(VALUES, float), PERIOD) <= 24900
    assert least_mean(np.array(VALUES[:2], float), PERIOD) == 24576
    assert least_mean(np.array(STRINGS, float), PERIOD) < 100
    assert least_mean(np.array(MAPS, float), PERIOD) == pytest.approx(3072, rel=0.01)
    assert least_mean(np.zeros((2, 4)), PERIOD) == 0 and least_mean(np.zeros((0, 4)), PERIOD) == 0


def drawn(sizes: np.ndarray, period: int, chance: np.random.Generator) -> np.ndarray:
    """Bytes over four profiles of one stack, whose blocks come evenly and stay: samples of them, unsampled."""
    probability = 1 - np.exp(-sizes / period)
    weights = np.where(chance.random(len(sizes)) < probability, sizes / probability, 0)
    return np.floor([part.sum() for part in (weights[: len(sizes) * k // 4] for k in (1, 2, 3, 4))])


@pytest.mark.parametrize("period", [1 << 14, 1 << 19])
def test_small_blocks_of_many_sizes_are_never_taken_for_large(period):
    chance = np.random.default_rng(5)
    for number in range(100):
        sizes = chance.integers(16, 9_000, chance.integers(4, 60) * period // 2_000)
        levels = np.array([drawn(sizes, period, chance)])
        assert least_mean(levels, period) < 10_000, (number, levels)


def test_large_blocks_of_many_sizes_are_known_by_coarse_samples():
    """Of one in 512 KiB: some MB of documents of 12 to 60 kB are at least 10 kB each, nearly always."""
    chance = np.random.default_rng(6)
    known = 0
    for _ in range(100):
        sizes = chance.integers(12_000, 60_000, 250)
        least = least_mean(np.array([drawn(sizes, 1 << 19, chance)]), 1 << 19)
        # the samples' own mean: large blocks are sampled more often
        assert least < 60_000
        known += least >= 10_000
    assert known >= 60
