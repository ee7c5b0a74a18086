"""What changed between two profiles, stack by stack, normalised where they are not of the same measure."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from forensics import units
from forensics.profiles.frames import room_of
from forensics.profiles.model import AllocationProfile, Frame, Origin
from forensics.profiles.naming import Operations, place_of
from forensics.profiles.room import Room

Normalisation = Literal["auto", "none", "time", "total"]

#: A difference of two sampled figures is certain beyond this many standard errors.
ERRORS = 2.0


@dataclass(frozen=True, eq=False)
class ProfileDiff:
    """Two profiles over the union of their stacks.

    Attributes
    ----------
    stacks : frames of each stack, innermost first
    before, after : float64[stacks], bytes, ``before`` scaled by ``scale``
    errors : float64[stacks], bytes, the standard error of after - before; 0 where nothing was sampled
    measure : what is compared
    scale : what the bytes of the first profile were multiplied by
    normalised : how, and why, in words
    origins : of the two profiles
    """

    stacks: tuple[tuple[Frame, ...], ...]
    before: np.ndarray
    after: np.ndarray
    errors: np.ndarray
    measure: str
    scale: float
    normalised: str
    origins: tuple[Origin, Origin]

    def __len__(self) -> int:
        return len(self.stacks)

    @property
    def change(self) -> np.ndarray:
        """float64[stacks], bytes: after - before."""
        return self.after - self.before

    def rooms(self, stack: int) -> list[Room]:
        """Whose code the frames of one stack are."""
        return [room_of(each.function, each.file, self.origins[1].runtime) for each in self.stacks[stack]]

    def top(self, limit: int = 20, *, operations: Operations | None = None) -> pd.DataFrame:
        """By place, the largest change first: place, before, after, change, certain (beyond the sampling error)."""
        rows: dict[str, np.ndarray] = {}
        for stack, frames in enumerate(self.stacks):
            place = place_of(list(frames), self.rooms(stack), operations).text
            row = rows.setdefault(place, np.zeros(3))
            row += (self.before[stack], self.after[stack], self.errors[stack] ** 2)
        values = np.array(list(rows.values())).reshape(-1, 3)
        change = values[:, 1] - values[:, 0]
        table = pd.DataFrame(
            {
                "place": list(rows),
                "before": values[:, 0].round().astype(np.int64),
                "after": values[:, 1].round().astype(np.int64),
                "change": change.round().astype(np.int64),
                "certain": np.abs(change) > ERRORS * np.sqrt(values[:, 2]),
            }
        )
        order = np.lexsort((table["place"].to_numpy(), -np.abs(change)))
        return table.iloc[order].head(limit).reset_index(drop=True)

    def to_pandas(self) -> pd.DataFrame:
        """By place, all of them."""
        return self.top(len(self))

    def __repr__(self) -> str:
        return (
            f"<ProfileDiff of {self.measure} bytes: {units.size(self.before.sum())} → "
            f"{units.size(self.after.sum())} over {len(self)} stacks; {self.normalised}>"
        )

    def __str__(self) -> str:
        table = self.top(15)
        told = f"{self.measure} bytes: {units.size(self.before.sum())} → {units.size(self.after.sum())}"
        rows = [
            f"  {units.size(row.before):>9} → {units.size(row.after):>9}  {units.size(row.change):>9}"
            f"{' ' if row.certain else '?'}  {row.place}"
            for row in table.itertuples()
        ]
        return "\n".join([f"{told}; {self.normalised} (?: within the sampling error)", *rows])

    def to_dict(self) -> dict[str, Any]:
        """The totals and the places, bytes, as plain JSON types."""
        return {
            "measure": self.measure,
            "before": float(self.before.sum()),
            "after": float(self.after.sum()),
            "normalised": self.normalised,
            "places": self.to_pandas().to_dict(orient="records"),
        }

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.top(10).to_html(escape=True, index=False)}"


def diff(
    before: AllocationProfile,
    after: AllocationProfile,
    *,
    measure: str | None = None,
    normalise: Normalisation = "auto",
    lines: bool = True,
) -> ProfileDiff:
    """Compare two profiles.

    Parameters
    ----------
    measure : which; by default the first that both have
    normalise : ``time`` compares bytes a second, ``total`` shares of the whole, ``none`` bytes as they are; ``auto``
        takes time for what is counted over time (allocated, temporary) where both lengths are known;
        live bytes stay as they are: every loader unsamples, and the sampling error is given
    lines : whether stacks that differ in line numbers only are different; False for two versions of a program

    Raises
    ------
    ValueError : they share no measure, or ``time`` was asked for and a length is unknown.
    """
    if measure is None:
        measure = next((each for each in before.measures if each in after.measures), None)
        if measure is None:
            raise ValueError(
                f"The profiles share no measure: {', '.join(before.measures)} and {', '.join(after.measures)}."
            )
    numbers: dict[tuple[Frame, ...], int] = {}
    sizes = [_stacked(profile, measure, numbers, lines) for profile in (before, after)]
    columns = np.zeros((2, len(numbers)))
    for side, found in enumerate(sizes):
        for stack, size in found.items():
            columns[side, stack] = size
    scale, words = _scale(before, after, measure, normalise, columns)
    variances = sum(
        (profile.origin.sampling_period or 0) * columns[side] * (scale**2 if side == 0 else 1.0)
        for side, profile in enumerate((before, after))
    )
    return ProfileDiff(
        tuple(numbers),
        columns[0] * scale,
        columns[1],
        # A sample stands for a Poisson number of periods: the variance of its bytes is bytes times period.
        np.sqrt(np.maximum(variances, 0.0)),
        measure,
        scale,
        words,
        (before.origin, after.origin),
    )


def _stacked(
    profile: AllocationProfile, measure: str, numbers: dict[tuple[Frame, ...], int], lines: bool
) -> dict[int, int]:
    found: dict[int, int] = {}
    sizes, _ = profile.by_stack(measure)
    for stack in np.flatnonzero(sizes):
        frames = profile.stack(int(stack))
        if not lines:
            frames = tuple(each._replace(line=0) for each in frames)
        number = numbers.setdefault(frames, len(numbers))
        found[number] = found.get(number, 0) + int(sizes[stack])
    return found


def _scale(
    before: AllocationProfile,
    after: AllocationProfile,
    measure: str,
    normalise: Normalisation,
    columns: np.ndarray,
) -> tuple[float, str]:
    lengths = before.origin.seconds, after.origin.seconds
    if normalise == "auto":
        over_time = measure in ("allocated", "temporary")
        # Go's allocated bytes run from the start of the process and not of the profile.
        normalise = "time" if over_time and all(lengths) and after.origin.tool != "pprof" else "none"
    if normalise == "none":
        return 1.0, "bytes as they are"
    if normalise == "total":
        total = float(columns[0].sum())
        return (float(columns[1].sum()) / total if total else 1.0), "as shares of the whole"
    if lengths[0] is None or lengths[1] is None:
        raise ValueError(
            "How long a profile ran is not known, so bytes a second are not: choose another normalise."
        )
    return lengths[1] / lengths[0], f"as if both had run for {lengths[1]:.1f} s"
