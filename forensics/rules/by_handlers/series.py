"""Live bytes over the profiles of a capture, grouped by the handler that allocated them and by what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from forensics.findings import GrowthShape
from forensics.profiles.block_sizes import least_mean
from forensics.profiles.diff import ERRORS
from forensics.profiles.handlers import Run, plain_name, run_of, stack_with_rooms
from forensics.profiles.model import AllocationProfile, Frame
from forensics.profiles.naming import Operations, place_of
from forensics.rules.by_handlers.signs import TRANSPORT, Sign, is_value, sign_of

#: Growth from the first profile to the last below this, or within the sampling error, is none.
LEAST_BYTES = 200_000
#: … and between two profiles alone, where one burst looks like growth.
LEAST_BYTES_OF_TWO = 1_000_000
#: … and below this share of what was live at first: a cache that fills its last places.
LEAST_SHARE = 0.05
#: What grew in the later half of the capture by less than this share of the earlier half has found its bound.
STILL_GROWING = 0.25
#: What grew before the last profile by less than this share of all may be what calls in flight hold at that moment.
GREW_BEFORE = 0.1
#: An attribute of this many bytes is a document, not a field.
LARGE = 10_000


@dataclass(frozen=True)
class LargeValues:
    """Values of ``LARGE`` bytes or more on the average: their number and bytes last, and by how many bytes they grew.

    ``counted`` is False where the profiles have no counts: the values are then as large as said at least.
    """

    number: float
    bytes: float
    grown: float
    counted: bool


Site = tuple[tuple[str, int], ...]


def site_of(frames: Sequence[Frame]) -> Site:
    """Frames by file and line: addr2line calls one and the same inlined function now this, now that."""
    return tuple((frame.file, frame.line) if frame.file else (frame.function, 0) for frame in frames)


class Told(NamedTuple):
    """What one stack tells: whose it is, what its blocks are, the application's part, the DynamoDB operation.

    ``value`` are the frames inside the application's own where they make the block of a value, () elsewhere.
    """

    name: str
    sign: Sign
    run: Run | None
    operation: str | None
    frames: Site
    value: Site


@dataclass
class Held:
    """What one handler allocated and the process still holds, in each profile.

    Attributes
    ----------
    name : the handler's, without closures; "" where no stack shows the application
    bytes : float64[profiles] for each sign
    objects : int64[profiles]
    frame : the handler's frame, of the heaviest stack
    entries : bytes by the application's line that entered the library, "store.go:41 main.(*store).query"
    operations : bytes by DynamoDB operation
    functions : the application's functions on its stacks
    values : (bytes, counts) of values alone, float64[2, profiles], by the site that made them and by stack
    """

    name: str
    profiles: int
    period: int
    bytes: dict[Sign, np.ndarray] = field(default_factory=dict)
    objects: np.ndarray = field(init=False)
    frame: Frame | None = None
    entries: Counter[str] = field(default_factory=Counter)
    entry_frames: dict[str, Frame] = field(default_factory=dict)
    operations: Counter[str] = field(default_factory=Counter)
    functions: set[str] = field(default_factory=set)
    values: dict[Site, dict[Site, np.ndarray]] = field(default_factory=dict)
    _heaviest: int = 0

    def __post_init__(self) -> None:
        self.objects = np.zeros(self.profiles, np.int64)

    def add(self, profile: int, told: Told, size: int, count: int) -> None:
        """Add one stack of one profile."""
        run, operation = told.run, told.operation
        self.bytes.setdefault(told.sign, np.zeros(self.profiles))[profile] += size
        if told.value:
            stacks = self.values.setdefault(told.value, {})
            stacks.setdefault(told.frames, np.zeros((2, self.profiles)))[:, profile] += size, count
        self.objects[profile] += count
        if run is not None:
            self.functions.update(run.functions)
            where = f"{run.entry.file.rpartition('/')[2]}:{run.entry.line} {plain_name(run.entry.function)}"
            if profile == self.profiles - 1:
                self.entries[where] += size
                self.entry_frames[where] = run.entry
            if self.frame is None or size > self._heaviest:
                self.frame, self._heaviest = run.handler, size
        if operation is not None and profile == self.profiles - 1:
            self.operations[operation] += size

    def total(self) -> np.ndarray:
        """All its bytes, float64[profiles]."""
        return sum(self.bytes.values(), np.zeros(self.profiles))

    def of(self, *signs: Sign) -> np.ndarray:
        """Its bytes of these signs, float64[profiles]."""
        return sum((self.bytes[each] for each in signs if each in self.bytes), np.zeros(self.profiles))

    def grown(self, *signs: Sign) -> float:
        """Bytes that came between the first and the last profile; of all signs where none is named."""
        series = self.of(*signs) if signs else self.total()
        return float(series[-1] - series[0])

    def large_values(self) -> LargeValues | None:
        """What it holds of values that are large; None where there are none, or none are known to be."""
        number = held = grown = 0.0
        counted = True
        for stacks in self.values.values():
            sizes, counts = np.array(list(stacks.values())).transpose(1, 0, 2)
            last = float(sizes[:, -1].sum())
            known = bool(counts.any())
            mean = last / max(counts[:, -1].sum(), 1.0) if known else least_mean(sizes, self.period)
            if mean >= LARGE:
                number, held = number + last / mean, held + last
                grown += last - float(sizes[:, 0].sum())
                counted = counted and known
        return LargeValues(number, held, grown, counted) if number else None

    def shape(self) -> GrowthShape:
        """How it moved."""
        return shape_of(self.total(), self.period)


def shape_of(sizes: np.ndarray, period: int) -> GrowthShape:
    """Growing, plateau or shrinking; growing only beyond the sampling error, until the last profile and before it.

    A sample stands for a Poisson number of periods, so that the variance of bytes is bytes times period. What is live
    in two profiles is the same samples in both and adds no error to their difference; only where the series falls
    somewhere is all of it taken for exchanged.
    """
    if len(sizes) < 2:
        return "unknown"
    steady = len(sizes) > 2 and bool(np.all(np.diff(sizes) >= 0))
    uncertain = sizes[-1] - sizes[0] if steady else sizes[0] + sizes[-1]
    error = ERRORS * float(np.sqrt(period * uncertain))
    least = LEAST_BYTES if len(sizes) > 2 else LEAST_BYTES_OF_TWO
    enough = max(least, LEAST_SHARE * float(sizes[0]), error)
    change = float(sizes[-1] - sizes[0])
    if change < -enough:
        return "shrinking"
    if change <= enough:
        return "plateau"
    if len(sizes) > 2:
        middle = (len(sizes) - 1) / 2
        halfway = float(np.interp(middle, np.arange(len(sizes)), sizes))
        if sizes[-1] - halfway < STILL_GROWING * (halfway - sizes[0]):
            return "plateau"
        if sizes[-2] - sizes[0] < GREW_BEFORE * change:
            return "unknown"
    return "growing"


def rates_by_handler(rates: Sequence[AllocationProfile]) -> dict[str, float]:
    """Bytes a second that each handler allocated at least, freed or not, over profiles of some seconds each.

    Go's profile knows what was allocated up to the last collection: seconds without one show nothing, and tell nothing.
    {} where no profile tells.
    """
    rates = [profile for profile in rates if profile.total("allocated") > 0]
    seconds = sum(profile.origin.seconds or 0.0 for profile in rates)
    if not seconds:
        return {}
    groups = held_by_handler(rates, measure="allocated")
    return {name: float(group.total().sum()) / seconds for name, group in groups.items()}


def held_by_handler(
    profiles: Sequence[AllocationProfile], operations: Operations | None = None, *, measure: str = "live"
) -> dict[str, Held]:
    """By handler's name; "" for what no stack attributes, "(transport)" for connections' own memory."""
    period = max((profile.origin.sampling_period or 0) for profile in profiles)
    groups: dict[str, Held] = {}
    for number, profile in enumerate(profiles):
        sizes, counts = profile.by_stack(measure)
        for stack in np.flatnonzero(sizes):
            told = _told(profile, int(stack), operations)
            group = groups.setdefault(told.name, Held(told.name, len(profiles), period))
            group.add(number, told, int(sizes[stack]), int(counts[stack]))
    return groups


def _told(profile: AllocationProfile, stack: int, operations: Operations | None) -> Told:
    frames, rooms = stack_with_rooms(profile, stack)
    run = run_of(frames, rooms)
    if run is not None:
        name = plain_name(run.handler.function)
        sign = sign_of(frames[: run.inner], rooms[: run.inner])
    else:
        connection = any(TRANSPORT.search(frame.function) for frame in frames)
        name = "(transport)" if connection else ""
        sign = sign_of(frames, rooms)
    asked = 0
    if run is not None and run.called_by_sdk is not None:
        # a layer of the application's own, which the SDK called: the call to DynamoDB lies outside of it
        sign, asked = Sign.LAYER, run.called_by_sdk
    place = place_of(list(frames[asked:]), rooms[asked:], operations)
    inner = run.inner if run is not None else len(frames)
    value = frames[:inner] if is_value(frames[:inner], rooms[:inner]) else ()
    return Told(name, sign, run, place.operation, site_of(frames), site_of(value))
