"""What the shape of a series says: leak, step, warm-up, sawtooth, plateau, allocator, or that it is too early."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from forensics.findings import GrowthShape
from forensics.growth.fits import Fit, fits
from forensics.growth.series import GrowthSeries, Slope, noise_of, slope_of, thinned

Shape = Literal[
    "steady leak",
    "step",
    "warm-up",
    "sawtooth",
    "plateau",
    "shrinking",
    "allocator high-water mark",
    "fragmentation",
    "cannot tell yet",
]

#: Fewer samples or seconds than these say nothing about anything.
LEAST_SAMPLES = 12
LEAST_SECONDS = 10.0
#: A movement below this, or below this share of the level, is not worth a word.
LEAST_BYTES = float(1 << 20)
LEAST_SHARE = 0.02
#: A movement must be this many times the noise of a sample.
LEAST_NOISES = 4.0
#: A tooth is a fall of this share of the whole span; all of them together fall by most of the span or more.
TOOTH = 0.18
TEETH = 0.8
#: Objects that a snapshot must have more than the one before, as a share, for the heap to have grown.
LEAST_OBJECTS = 0.01
#: A curve that leaves more than this share of the scatter unexplained is no shape.
UNEXPLAINED = 0.35
#: A warm-up is over once its time constant is below this share of the time watched (95 % there at three of them).
SETTLED = 0.34
#: With a time constant above this share of the time watched, the curve is a line for all that can be seen.
STRAIGHT = 1.4
#: The live heap is flat where it rose by less than this share of what the resident set rose by.
LIVE_FLAT = 0.25

_GROWTH_SHAPES: dict[str, GrowthShape] = {
    "steady leak": "growing",
    "fragmentation": "growing",
    "step": "plateau",
    "warm-up": "plateau",
    "plateau": "plateau",
    "allocator high-water mark": "plateau",
    "sawtooth": "sawtooth",
    "shrinking": "shrinking",
    "cannot tell yet": "unknown",
}


@dataclass(frozen=True)
class Verdict:
    """What a series is.

    Attributes
    ----------
    shape : see ``Shape``
    confidence : 0…1
    slope : bytes a second of the resident set over the whole series, with its interval of 95 %
    because : why, one sentence each, with the numbers
    watch_for : seconds to watch in all before it can be told, only for "cannot tell yet"
    seconds_to_limit : (soonest, likely, latest) where it grows towards a known limit, else None
    bytes_per_request : where requests were counted, else None
    """

    shape: Shape
    confidence: float
    slope: Slope
    because: tuple[str, ...] = ()
    watch_for: float | None = None
    seconds_to_limit: tuple[float, float, float] | None = None
    bytes_per_request: Slope | None = None
    facts: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def growth_shape(self) -> GrowthShape:
        """The same in the words of a finding."""
        return _GROWTH_SHAPES[self.shape]

    @property
    def text(self) -> str:
        """One line for people."""
        rate = f"{_mib(self.slope.value * 60)} a minute ({_mib(self.slope.low * 60)} … {_mib(self.slope.high * 60)})"
        words = f"{self.shape}: {rate}"
        if self.watch_for is not None:
            words = f"cannot tell yet, watch for {_duration(self.watch_for)} in all"
        if self.seconds_to_limit is not None:
            words += f", at the memory limit in about {_duration(self.seconds_to_limit[1])}"
        if self.bytes_per_request is not None:
            words += f", {self.bytes_per_request.value:,.0f} bytes a request"
        return words

    @property
    def headline(self) -> str:
        """The same with how sure it is, for a line by itself."""
        told = self.text if self.watch_for is not None else f"{self.text}; confidence {self.confidence:.2f}"
        if objects := self.facts.get("objects"):
            told += f"; the objects of the snapshots grow, {' → '.join(f'{count:,}' for count in objects)}"
        return told

    def beside(self, objects: Sequence[int]) -> Verdict:
        """The same, read beside the number of objects in each snapshot: a level above a heap that grows is none.

        The resident set moves by pages that are free already, and by what a snapshot itself costs; where every
        snapshot has more objects than the one before, "warm-up", "step" and "plateau" of it are not told.
        """
        grown = len(objects) > 1 and all(
            after > before * (1 + LEAST_OBJECTS) for before, after in itertools.pairwise(objects)
        )
        if not grown or self.shape not in ("warm-up", "step", "plateau"):
            return self
        course = " → ".join(f"{count:,}" for count in objects)
        words = (
            f"The resident set alone looks like a {self.shape}, but the objects went on growing: {course}."
        )
        seconds = self.facts.get("seconds")
        return replace(
            self,
            shape="cannot tell yet",
            confidence=1.0,
            because=(*self.because, words),
            watch_for=None if seconds is None else max(30.0, 3 * seconds),
            facts={**self.facts, "objects": tuple(objects)},
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words for JSON; what is endless or unknown is None."""
        row = self.to_pandas().iloc[0].to_dict()
        finite = {key: _finite(value) for key, value in row.items() if key != "shape"}
        return {"shape": self.shape, **finite, "because": list(self.because)}

    def to_pandas(self) -> pd.DataFrame:
        """One row."""
        soonest, likely, latest = self.seconds_to_limit or (None, None, None)
        return pd.DataFrame(
            {
                "shape": [self.shape],
                "confidence": [self.confidence],
                "bytes_per_second": [self.slope.value],
                "bytes_per_second_low": [self.slope.low],
                "bytes_per_second_high": [self.slope.high],
                "watch_for": [self.watch_for],
                "seconds_to_limit": [likely],
                "seconds_to_limit_soonest": [soonest],
                "seconds_to_limit_latest": [latest],
                "bytes_per_request": [self.bytes_per_request.value if self.bytes_per_request else None],
            }
        )

    def __repr__(self) -> str:
        return "\n".join([f"<Verdict {self.text} (confidence {self.confidence:.2f})>", *self.because])

    def _repr_html_(self) -> str:
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.because)
        return f"<p><b>{html.escape(self.text)}</b> (confidence {self.confidence:.2f})</p><ul>{reasons}</ul>"


def judge_process(process: pd.DataFrame | None) -> Verdict | None:
    """``judge`` for a capture's ``process`` table; None where the process was not sampled twice.

    Where the capture counted requests (``--requests``), growth is told in bytes a request as well.
    """
    if process is None or not {"time", "rss"} <= set(process.columns):
        return None
    counted = "requests" if "requests" in process.columns else None
    series = GrowthSeries.from_process(process, requests=counted)
    return judge(series) if len(series) > 1 else None


def judge(series: GrowthSeries) -> Verdict:
    """Say what a series is; never raises, a series too short to say is "cannot tell yet".

    The order matters: teeth first (they fit no curve), then movements too small to matter, then curves by
    Schwarz' criterion, and last the live heap, which tells a growing program from a growing allocator.
    """
    t, y = thinned(series.times, series.resident, 1000)
    slope = slope_of(series.times, series.resident)
    if len(series) < LEAST_SAMPLES or series.seconds < LEAST_SECONDS:
        step = series.seconds / max(len(series) - 1, 1)
        need = max(3 * LEAST_SECONDS, 3 * LEAST_SAMPLES * step)
        return _early(slope, need, f"{len(series)} samples in {series.seconds:.0f} s are too few")
    shape, confidence, because, watch = _shape(t, y, slope, noise_of(y))
    shape, confidence, because = _with_live_heap(series, shape, confidence, because)
    growing = _GROWTH_SHAPES[shape] == "growing"
    return Verdict(
        shape,
        round(float(confidence), 2),
        slope,
        tuple(because),
        watch_for=max(30.0, watch * series.seconds) if shape == "cannot tell yet" and watch else None,
        seconds_to_limit=_to_limit(series, slope) if growing else None,
        bytes_per_request=_per_request(series) if growing else None,
        facts={"samples": len(series), "seconds": series.seconds},
    )


def _early(slope: Slope, watch: float, reason: str) -> Verdict:
    return Verdict(
        "cannot tell yet", 1.0, slope, (reason + ".",), watch_for=float(min(max(watch, 30), 86400))
    )


def _shape(
    t: np.ndarray, y: np.ndarray, slope: Slope, noise: float
) -> tuple[Shape, float, list[str], float | None]:
    """Shape, confidence, reasons, and how many times as long to watch where it is too early."""
    seconds = float(t[-1] - t[0])
    smooth = _smooth(y)
    span = float(smooth.max() - smooth.min())
    least = max(LEAST_BYTES, LEAST_SHARE * float(np.median(y)), LEAST_NOISES * noise)
    if span <= least:
        return _small(slope, seconds, least)
    falls, troughs = teeth(smooth, max(TOOTH * span, least))
    if len(falls) >= 2 and sum(falls) > TEETH * span:
        words = f"{len(falls)} falls of {_mib(min(falls))} and more, of a span of {_mib(span)}"
        if slope.low > 0 and slope.value * seconds > 0.4 * span and troughs[-1] - troughs[0] > 0.25 * span:
            return "steady leak", 0.8, [f"{words}, and the troughs rise."], None
        sure = min(0.6 + 0.1 * len(falls), 0.98)
        return "sawtooth", sure, [f"{words}; memory is given back again and again."], None
    return _curve((t - t[0]) / seconds, smooth, y, slope, noise, least)


def _small(slope: Slope, seconds: float, least: float) -> tuple[Shape, float, list[str], float | None]:
    """A movement that does not matter: so far, and a slow leak needs a longer look."""
    reach = max(abs(slope.low), abs(slope.high)) * seconds
    if max(slope.low, -slope.high) * seconds > 0.4 * least:
        words = f"It rises by {_mib(slope.value * 3600)} an hour, of which too little was seen."
        return "cannot tell yet", 1.0, [words], 3.0
    if reach <= 1.5 * least:
        words = f"It moved by less than {_mib(least)} in {_duration(seconds)}; "
        return (
            "plateau",
            0.9,
            [words + f"a growth above {_mib(slope.high * 3600)} an hour is excluded."],
            None,
        )
    # The interval of a slope shrinks with the time watched to the power of 3/2.
    longer = max((reach / least) ** (2 / 3), 2.0)
    return "cannot tell yet", 1.0, ["The samples scatter too much for so short a time."], longer


def _curve(
    x: np.ndarray, smooth: np.ndarray, y: np.ndarray, slope: Slope, noise: float, least: float
) -> tuple[Shape, float, list[str], float | None]:
    found = fits(x, smooth)
    scores = {name: fit.criterion(len(x), max(noise, 1.0)) for name, fit in found.items()}
    first, second = sorted(scores, key=scores.__getitem__)[:2]
    if found[first].squares > UNEXPLAINED * found["flat"].squares:
        first = "flat"
    confidence = _confidence(scores[second] - scores[first])
    tail = x >= 0.6
    late = slope_of(x[tail], y[tail])
    rise = float(np.median(smooth[-max(len(x) // 10, 3) :]) - np.median(smooth[: max(len(x) // 10, 3)]))
    if rise < -least and first != "flat":
        return "shrinking", confidence, [f"It fell by {_mib(-rise)}."], None
    if first == "step":
        return _stepped(found["step"], late, rise, least, confidence)
    if first == "warm-up" and found["warm-up"].at < STRAIGHT:
        return _warming(found["warm-up"], late, rise, confidence)
    if first == "flat" or rise <= least:
        if slope.is_flat or abs(rise) <= least:
            return (
                "plateau",
                confidence,
                [f"It scatters about a level and rose by {_mib(rise)} in all."],
                None,
            )
        return "cannot tell yet", 1.0, ["The samples scatter too much for so short a time."], 3.0
    if slope.low <= 0:
        return "cannot tell yet", 1.0, ["The slope may be zero or not."], 3.0
    steady = late.value > 0.4 * rise and late.low > 0
    if not steady:
        return "cannot tell yet", 1.0, ["It rose, and rises less of late."], 3.0
    return (
        "steady leak",
        max(confidence, 0.7),
        [f"It rose by {_mib(rise)} and as fast at the end as before."],
        None,
    )


def _stepped(
    step: Fit, late: Slope, rise: float, least: float, confidence: float
) -> tuple[Shape, float, list[str], float | None]:
    if step.rise < 0:
        return "shrinking", confidence, [f"It fell by {_mib(-step.rise)} at once."], None
    words = f"It rose by {_mib(step.rise)} at {step.at:.0%} of the time"
    if step.at > 0.85:
        return "cannot tell yet", 1.0, [words + ": too near the end to say whether it goes on."], 2.0
    if step.at <= 0.5 and late.value > max(0.4 * rise, least):
        return "steady leak", 0.6, [words + " and goes on rising."], None
    return "step", confidence, [words + " and is level before and after."], None


def _warming(
    warm: Fit, late: Slope, rise: float, confidence: float
) -> tuple[Shape, float, list[str], float | None]:
    words = f"It rose by {_mib(rise)} with a time constant of {warm.at:.0%} of the time watched"
    if warm.at <= SETTLED:
        return "warm-up", confidence, [words + " and has levelled off."], None
    return "cannot tell yet", 1.0, [words + ": it slows down and has not levelled off."], 4 * warm.at


def _with_live_heap(
    series: GrowthSeries, shape: Shape, confidence: float, because: list[str]
) -> tuple[Shape, float, list[str]]:
    """Correct the shape where the resident set moved and what the program uses did not."""
    if series.live is None or shape in ("sawtooth", "shrinking", "cannot tell yet"):
        return shape, confidence, because
    live, resident = _smooth(series.live), _smooth(series.resident)
    rose, live_rose = _rise(resident), _rise(live)
    least = max(
        LEAST_BYTES, LEAST_SHARE * float(np.median(resident)), LEAST_NOISES * noise_of(series.resident)
    )
    idle = (
        f"; the allocator holds {_mib(float(series.free[-1]))} that nobody uses"
        if series.free is not None
        else ""
    )
    if rose > least and live_rose < LIVE_FLAT * rose:
        words = f"The resident set rose by {_mib(rose)}, what the program uses by {_mib(live_rose)}{idle}."
        if shape == "steady leak":
            words += " Freed memory is not used again: it lies in pieces between blocks that live on."
            return "fragmentation", confidence, [*because, words]
        return "allocator high-water mark", confidence, [*because, words]
    peak, last = float(live.max()), float(np.median(live[-max(len(live) // 4, 3) :]))
    kept = float(np.median(resident[-3:])) > 0.85 * float(resident.max())
    if shape in ("plateau", "step", "warm-up") and kept and peak - last > max(0.3 * peak, least):
        words = (
            f"What the program uses fell from {_mib(peak)} to {_mib(last)}, the resident set stayed{idle}."
        )
        return "allocator high-water mark", max(confidence, 0.8), [*because, words]
    return shape, confidence, because


def teeth(smooth: np.ndarray, least: float) -> tuple[list[float], list[float]]:
    """The falls of ``least`` or more from a peak, in bytes, and the troughs that they ended in.

    A fall ends once the series has risen by ``least`` again, or ends: the zigzag of technical drawing.
    """
    falls: list[float] = []
    troughs: list[float] = []
    high = low = float(smooth[0])
    falling = False
    for value in [*smooth.tolist(), float("inf")]:
        if falling:
            low = min(low, value)
            if value > low + least:
                falls.append(high - low)
                troughs.append(low)
                falling, high = False, value
        else:
            high = max(high, value)
            if value < high - least:
                falling, low = True, value
    return falls, troughs


def _smooth(y: np.ndarray) -> np.ndarray:
    """A running median of five: single spikes go, edges stay."""
    if len(y) < 5:
        return y
    padded = np.concatenate([[y[0]] * 2, y, [y[-1]] * 2])
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)


def _rise(y: np.ndarray) -> float:
    edge = max(len(y) // 10, 3)
    return float(np.median(y[-edge:]) - np.median(y[:edge]))


def _confidence(difference: float) -> float:
    """Schwarz' weights of the two best curves: 0.5 where they are equal, never certain."""
    return float(min(1 / (1 + np.exp(-min(difference, 50) / 2)), 0.98))


def _to_limit(series: GrowthSeries, slope: Slope) -> tuple[float, float, float] | None:
    if series.limit is None or slope.value <= 0:
        return None
    room = max(series.limit - float(np.median(series.resident[-3:])), 0.0)
    return (
        room / slope.high if slope.high > 0 else float("inf"),
        room / slope.value,
        room / slope.low if slope.low > 0 else float("inf"),
    )


def _per_request(series: GrowthSeries) -> Slope | None:
    if series.requests is None or series.requests[-1] <= series.requests[0]:
        return None
    return slope_of(series.requests - series.requests[0], series.resident)


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _mib(value: float) -> str:
    mib = value / (1 << 20)
    return f"{mib:,.2f} MiB" if abs(mib) < 100 else f"{mib:,.0f} MiB"


def _duration(seconds: float) -> str:
    if not np.isfinite(seconds):
        return "no time that can be named"
    for unit, size in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
