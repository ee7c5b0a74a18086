"""What ``show`` says of a capture of profiles: live bytes by place and by handler, goroutines by what they wait for."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forensics import units
from forensics.profiles.model import AllocationProfile
from forensics.profiles.naming import Operations, places


@dataclass(frozen=True, eq=False)
class ByHandler:
    """Live bytes of every profile, by the application's handler that allocated them; the largest first.

    Where it is known what was allocated in some seconds, freed or not, a column ``allocated a second`` says so (bytes).
    """

    table: pd.DataFrame

    @classmethod
    def of(
        cls,
        profiles: Sequence[AllocationProfile],
        limit: int = 10,
        rates: Sequence[AllocationProfile] = (),
    ) -> ByHandler:
        """Columns handler, operation, mostly, first, last (bytes), change; with ``rates`` what it allocates, too."""
        from forensics.rules.by_handlers.series import held_by_handler, rates_by_handler

        allocates = rates_by_handler(rates)
        rows = []
        for group in held_by_handler(profiles).values():
            total = group.total()
            sign = max(group.bytes, key=lambda each: float(group.bytes[each][-1]))
            operation = group.operations.most_common(1)[0][0] if group.operations else ""
            name = group.name or "(application not on the stack)"
            row = [name, operation, sign.value, int(total[0]), int(total[-1]), int(total[-1] - total[0])]
            rows.append([*row, round(allocates.get(group.name, 0.0), 1)])
        columns = ["handler", "operation", "mostly", "first", "last", "change", "allocated a second"]
        table = pd.DataFrame(rows, columns=columns)
        if not allocates:
            table = table.drop(columns="allocated a second")
        return cls(table.sort_values("last", ascending=False, ignore_index=True).head(limit))

    def to_pandas(self) -> pd.DataFrame:
        """One row for each handler."""
        return self.table

    def __str__(self) -> str:
        rows = [
            f"  {units.size(row.first):>9} → {units.size(row.last):>9}  {row.handler}"
            f"{f' → {row.operation}' if row.operation else ''}  ({row.mostly}{turnover})"
            for row, turnover in zip(self.table.itertuples(), self._turnovers(), strict=True)
        ]
        return "\n".join(["live bytes by handler, first profile → last", *rows])

    def _turnovers(self) -> list[str]:
        if "allocated a second" not in self.table:
            return [""] * len(self.table)
        rates = self.table["allocated a second"]
        return [f"; allocates {units.size(each)}/s, freed or not" if each else "" for each in rates]

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table.to_html(escape=True, index=False)


@dataclass(frozen=True, eq=False)
class ByPlace:
    """Live bytes of the last profile, by the application's line that asked for them; the heaviest first."""

    table: pd.DataFrame

    @classmethod
    def of(cls, profile: AllocationProfile, operations: Operations | None = None, limit: int = 10) -> ByPlace:
        """Columns place, bytes, count, share, stacks, room; of the first measure that the profile has."""
        return cls(places(profile, operations=operations).head(limit))

    def to_pandas(self) -> pd.DataFrame:
        """One row for each place."""
        return self.table

    def __str__(self) -> str:
        rows = [
            f"  {units.size(row.bytes):>9}  {row.share:>5.1%}  {row.place}" for row in self.table.itertuples()
        ]
        return "\n".join(["live bytes by place, last profile", *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table.to_html(escape=True, index=False)


@dataclass(frozen=True, eq=False)
class WaitingGoroutines:
    """Goroutines by where they stand and what they wait for; those that became most first."""

    table: pd.DataFrame

    @classmethod
    def of(
        cls, profiles: Sequence[AllocationProfile], text: str | None, limit: int = 10
    ) -> WaitingGoroutines:
        """Columns goroutine, waits for, begun by, first, last (counts), change."""
        from forensics.rules.by_handlers.goroutines import waiting

        rows: list[list[Any]] = []
        for each in waiting(profiles, text)[:limit]:
            creator = next(iter(each.creators), "")
            first, last = int(each.counts[0]), int(each.counts[-1])
            rows.append([each.name, each.wait, creator, first, last, each.grown])
        return cls(
            pd.DataFrame(rows, columns=["goroutine", "waits for", "begun by", "first", "last", "change"])
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row for each kind of goroutine."""
        return self.table

    def __str__(self) -> str:
        rows = [
            f"  {first:>6,} → {last:>6,}  {name} waits for {wait}{f', begun by {creator}' if creator else ''}"
            for name, wait, creator, first, last, _ in self.table.itertuples(index=False, name=None)
        ]
        return "\n".join(["goroutines, first profile → last", *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{html.escape('goroutines')}</p>{self.table.to_html(escape=True, index=False)}"
