"""Series that no threshold was chosen on: other curves, other noise and other parameters than ``simulated``.

The noise is heavy-tailed, grows with the level, and drifts; samples come late or are missing; levels, rates, lengths
and places of the events are drawn from other, wider ranges; several shapes are made by another process altogether
(requests that arrive at random, a cache that evicts, a collector that runs by a threshold).
"""

from __future__ import annotations

import numpy as np

from forensics.growth import GrowthSeries

KIB, MIB = 1024.0, 1024.0**2


def axis(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Times with late and missing samples, and the share of the time that is over."""
    n = int(rng.integers(45, 900))
    t = np.cumsum(rng.gamma(6.0, 1 / 6.0, n)) * rng.choice([0.25, 1.0, 5.0, 30.0])
    t = t[np.sort(rng.choice(n, max(40, int(n * rng.uniform(0.8, 1.0))), replace=False))]
    return t, (t - t[0]) / (t[-1] - t[0])


def base_of(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(30 * MIB), np.log(3000 * MIB))))


def measured(rng: np.random.Generator, y: np.ndarray, amount: float | None = None) -> np.ndarray:
    """What is read of a true level: noise of Student's t with four degrees of freedom on top of a slow drift."""
    share = rng.uniform(0.0001, 0.006) if amount is None else amount
    jitter = rng.standard_t(4, len(y)) * share * y
    drift = np.cumsum(rng.normal(0, 1, len(y)))
    drift -= np.linspace(drift[0], drift[-1], len(y))
    drift *= 0.4 * share * float(np.median(y)) / max(float(np.abs(drift).max()), 1e-9)
    return np.maximum(np.round((y + jitter + drift) / (64 * KIB)) * 64 * KIB, MIB)


def leak_by_requests(rng):
    """Requests arrive at random and keep something each."""
    t, _x = axis(rng)
    base = base_of(rng)
    arrivals = rng.poisson(rng.uniform(0.5, 20), len(t)) * rng.lognormal(0, 0.7, len(t))
    kept = np.cumsum(arrivals) / arrivals.sum()
    return GrowthSeries(t, measured(rng, base + rng.uniform(0.1, 3.0) * base * kept))


def leak_by_day_and_night(rng):
    """The load swings, and the leak with it; it never gives anything back."""
    t, x = axis(rng)
    base = base_of(rng)
    rate = 1 + rng.uniform(0.2, 0.8) * np.sin(2 * np.pi * (rng.uniform(2, 6) * x + rng.random()))
    kept = np.cumsum(rate) / rate.sum()
    return GrowthSeries(t, measured(rng, base + rng.uniform(0.15, 2.0) * base * kept))


def leak_that_speeds_up(rng):
    t, x = axis(rng)
    base = base_of(rng)
    return GrowthSeries(t, measured(rng, base + rng.uniform(0.2, 2.0) * base * x ** rng.uniform(1.1, 2.0)))


def one_allocation(rng):
    """A step that takes some samples to be written to."""
    t, x = axis(rng)
    base = base_of(rng)
    at, width = rng.uniform(0.12, 0.7), rng.uniform(0.001, 0.02)
    return GrowthSeries(
        t, measured(rng, base + rng.uniform(0.08, 2.5) * base / (1 + np.exp(-(x - at) / width)))
    )


def cache_that_fills(rng):
    """Keys of a finite set are asked for at random: 1 - exp by another way, with an uneven end."""
    t, x = axis(rng)
    base = base_of(rng)
    keys, asked = int(rng.integers(200, 5000)), rng.uniform(5, 14)
    seen = keys - keys * (1 - 1 / keys) ** (x * asked * keys)
    return GrowthSeries(t, measured(rng, base + rng.uniform(0.15, 2.0) * base * seen / keys))


def start_up(rng):
    """Modules are loaded in the first part, in lumps, and then nothing."""
    t, x = axis(rng)
    base = base_of(rng)
    until = rng.uniform(0.08, 0.3)
    lumps = np.sort(rng.uniform(0, until, int(rng.integers(8, 40))))
    weight = np.cumsum(rng.lognormal(0, 0.8, len(lumps)))
    loaded = np.concatenate([[0.0], weight])[np.searchsorted(lumps, x)] / weight[-1]
    return GrowthSeries(t, measured(rng, base + rng.uniform(0.2, 2.0) * base * loaded))


def collector_by_threshold(rng):
    """Garbage piles up at an uneven rate until a threshold, and goes at once."""
    t, _x = axis(rng)
    base = base_of(rng)
    most, pile, level = rng.uniform(0.15, 1.2) * base, 0.0, []
    for amount in rng.gamma(2.0, 1.0, len(t)) * most * rng.uniform(3, 14) / (2.0 * len(t)):
        pile = pile + amount if pile + amount < most else rng.uniform(0, 0.15) * most
        level.append(pile)
    return GrowthSeries(t, measured(rng, base + np.array(level)))


def buffers_flushed_by_the_clock(rng):
    t, x = axis(rng)
    base = base_of(rng)
    phase = (x * rng.uniform(3, 20) + rng.random()) % 1
    shape = phase ** rng.uniform(0.6, 1.6)
    return GrowthSeries(t, measured(rng, base + rng.uniform(0.15, 1.0) * base * shape))


def level(rng):
    t, _x = axis(rng)
    return GrowthSeries(t, measured(rng, np.full(len(t), base_of(rng))))


def cache_at_its_bound(rng):
    """Entries of differing sizes replace each other: the level wanders about its bound and is drawn back to it."""
    t, _x = axis(rng)
    base, off = base_of(rng), 0.0
    wander = np.empty(len(t))
    for position in range(len(t)):
        off = rng.uniform(0.8, 0.95) * off + rng.normal(0, 0.0008)
        wander[position] = off
    return GrowthSeries(t, measured(rng, base * (1 + wander), 0.0005))


def bursts(rng):
    """Several bursts: the first is the largest, and the resident set stays where it left it."""
    t, x = axis(rng)
    base = base_of(rng)
    rise, at = rng.uniform(0.25, 2.5) * base, rng.uniform(0.12, 0.45)
    used = np.full(len(t), rng.uniform(0.5, 0.85) * base)
    for begin in (at, *rng.uniform(at + 0.2, 0.85, int(rng.integers(0, 2)))):
        share = 1.0 if begin == at else rng.uniform(0.3, 0.8)
        used = used + share * rise * ((x > begin) & (x < begin + rng.uniform(0.04, 0.15)))
    resident = measured(rng, base + rise * (x > at))
    used = measured(rng, used)
    return GrowthSeries(t, resident, live=used, free=np.maximum(resident - used, 0))


def holes(rng):
    """Fragmentation: ever more of what is resident lies free between blocks, at an uneven rate."""
    t, x = axis(rng)
    base = base_of(rng)
    lost = np.cumsum(rng.gamma(1.0, 1.0, len(t)))
    used = measured(
        rng, base * rng.uniform(0.5, 0.9) * (1 + 0.02 * np.sin(2 * np.pi * rng.uniform(1, 9) * x))
    )
    resident = measured(rng, base + rng.uniform(0.2, 2.0) * base * lost / lost[-1])
    return GrowthSeries(t, resident, live=used, free=np.maximum(resident - used, 0))


SHAPES = {
    "steady leak": (leak_by_requests, leak_by_day_and_night, leak_that_speeds_up),
    "step": (one_allocation,),
    "warm-up": (cache_that_fills, start_up),
    "sawtooth": (collector_by_threshold, buffers_flushed_by_the_clock),
    "plateau": (level, cache_at_its_bound),
    "allocator high-water mark": (bursts,),
    "fragmentation": (holes,),
}


def too_short(rng):
    """Some samples of a leak, a cache that is still far from full, or an allocation just now."""
    kind = rng.integers(3)
    t, x = axis(rng)
    base = base_of(rng)
    if kind == 0:
        few = int(rng.integers(2, 11))
        return GrowthSeries(
            t[:few], measured(rng, base * (1 + rng.uniform(0.05, 0.5) * np.arange(few) / few))
        )
    if kind == 1:
        y = base + rng.uniform(0.3, 2.0) * base * (1 - np.exp(-x * rng.uniform(1.1, 2.0)))
        return GrowthSeries(t, measured(rng, y, 0.001))
    return GrowthSeries(
        t, measured(rng, base + rng.uniform(0.2, 1.5) * base * (x > rng.uniform(0.9, 0.96)), 0.002)
    )


SHAPES["cannot tell yet"] = (too_short,)
