"""Series with known answers: each shape with its own randomness, under noise that real processes show."""

from __future__ import annotations

import numpy as np

from forensics.growth import GrowthSeries

MB = 1e6


def noise(rng: np.random.Generator, n: int, scale: float) -> np.ndarray:
    """Noise whose samples resemble their neighbours, in pages of 4 kB, with a spike now and then."""
    white = rng.normal(0, scale, n)
    out = np.empty(n)
    memory = rng.uniform(0, 0.6)
    last = 0.0
    for position in range(n):
        last = memory * last + white[position]
        out[position] = last
    spikes = rng.random(n) < 0.01
    out[spikes] += rng.uniform(5, 15) * scale
    return np.round(out / 4096) * 4096


def axis(rng: np.random.Generator) -> tuple[np.ndarray, int]:
    n = int(rng.integers(90, 400))
    return np.cumsum(rng.uniform(0.9, 1.1, n)) * rng.choice([0.5, 1.0, 2.0, 10.0]), n


def setting(rng):
    t, n = axis(rng)
    base = rng.uniform(60, 800) * MB
    scale = rng.uniform(0.0002, 0.004) * base
    x = (t - t[0]) / (t[-1] - t[0])
    return t, n, base, scale, x


def leak(rng):
    t, n, base, scale, x = setting(rng)
    rise = rng.uniform(0.06, 1.5) * base
    return GrowthSeries(t, base + rise * x + noise(rng, n, scale))


def leak_in_steps(rng):
    """Doubling containers and arenas: the same rate, in many steps."""
    t, n, base, scale, x = setting(rng)
    rise, steps = rng.uniform(0.2, 1.5) * base, int(rng.integers(12, 40))
    return GrowthSeries(t, base + rise * np.floor(x * steps) / steps + noise(rng, n, scale))


def leak_under_teeth(rng):
    """Garbage comes and goes on top of what leaks."""
    t, n, base, scale, x = setting(rng)
    rise = rng.uniform(0.2, 1.5) * base
    teeth = rng.uniform(0.05, 0.5) * rise * ((x * rng.uniform(4, 15)) % 1)
    return GrowthSeries(t, base + rise * x + teeth + noise(rng, n, scale))


def leak_after_a_while(rng):
    t, n, base, scale, x = setting(rng)
    begin, rise = rng.uniform(0.1, 0.4), rng.uniform(0.2, 1.5) * base
    return GrowthSeries(t, base + rise * np.maximum(x - begin, 0) / (1 - begin) + noise(rng, n, scale))


def step(rng):
    t, n, base, scale, x = setting(rng)
    at, rise = rng.uniform(0.15, 0.75), rng.uniform(0.1, 1.0) * base
    return GrowthSeries(t, base + rise * (x > at) + noise(rng, n, scale))


def warm_up(rng):
    t, n, base, scale, x = setting(rng)
    tau, rise = rng.uniform(0.06, 0.22), rng.uniform(0.15, 1.5) * base
    return GrowthSeries(t, base + rise * (1 - np.exp(-x / tau)) + noise(rng, n, scale))


def filling(rng):
    """A bounded cache: a straight rise up to its bound."""
    t, n, base, scale, x = setting(rng)
    full, rise = rng.uniform(0.15, 0.45), rng.uniform(0.15, 1.5) * base
    return GrowthSeries(t, base + rise * np.minimum(x / full, 1) + noise(rng, n, scale))


def irregular_sawtooth(rng):
    t, n, base, scale, x = setting(rng)
    cuts = np.sort(rng.uniform(0, 1, int(rng.integers(4, 10))))
    since = x - np.concatenate([[0], cuts])[np.searchsorted(cuts, x)]
    height = rng.uniform(0.2, 0.8) * base
    return GrowthSeries(t, base + height * since / since.max() + noise(rng, n, scale))


def sawtooth(rng):
    t, n, base, scale, x = setting(rng)
    periods, height = rng.uniform(3, 12), rng.uniform(0.1, 0.8) * base
    return GrowthSeries(t, base + height * ((x * periods + rng.random()) % 1) + noise(rng, n, scale))


def plateau(rng):
    t, n, base, scale, _ = setting(rng)
    return GrowthSeries(t, base + noise(rng, n, scale))


def wandering(rng):
    """A level that drifts to and fro, as page caches and thread stacks make it."""
    t, n, base, scale, _ = setting(rng)
    drift, last = np.empty(n), 0.0
    for position in range(n):
        last = 0.9 * last + rng.normal(0, 0.001 * base)
        drift[position] = last
    return GrowthSeries(t, base + drift + noise(rng, n, scale / 4))


def high_water(rng):
    """A burst: what the program uses comes and goes, the resident set comes and stays."""
    t, n, base, scale, x = setting(rng)
    at, length, rise = rng.uniform(0.15, 0.5), rng.uniform(0.03, 0.2), rng.uniform(0.3, 2.0) * base
    used = 0.7 * base + rise * ((x > at) & (x < at + length)) + noise(rng, n, scale)
    resident = base + rise * (x > at) + noise(rng, n, scale)
    return GrowthSeries(t, resident, live=used, free=np.maximum(resident - used, 0))


def fragmentation(rng):
    t, n, base, scale, x = setting(rng)
    rise = rng.uniform(0.2, 1.5) * base
    used = 0.7 * base + rng.uniform(-0.05, 0.1) * rise * x + noise(rng, n, scale)
    resident = base + rise * x + noise(rng, n, scale)
    return GrowthSeries(t, resident, live=used, free=np.maximum(resident - used, 0))


def too_early(rng):
    """Too few samples, a curve that has not levelled off, or a step at the very end."""
    t, n, base, scale, x = setting(rng)
    kind = rng.integers(3)
    if kind == 0:
        few = int(rng.integers(3, 11))
        return GrowthSeries(t[:few], base + np.linspace(0, 0.2 * base, few) + noise(rng, few, scale))
    rise = rng.uniform(0.3, 1.5) * base
    if kind == 1:
        tau = rng.uniform(0.45, 0.9)
        return GrowthSeries(t, base + rise * (1 - np.exp(-x / tau)) + noise(rng, n, scale / 4))
    return GrowthSeries(t, base + rise * (x > rng.uniform(0.9, 0.95)) + noise(rng, n, scale))


SHAPES = {
    "steady leak": (leak, leak_in_steps, leak_under_teeth, leak_after_a_while),
    "step": (step,),
    "warm-up": (warm_up, filling),
    "sawtooth": (sawtooth, irregular_sawtooth),
    "plateau": (plateau, wandering),
    "allocator high-water mark": (high_water,),
    "fragmentation": (fragmentation,),
    "cannot tell yet": (too_early,),
}
