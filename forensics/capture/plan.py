"""What a capture would do and cost: ``forensics capture PID --dry-run``. Nothing of the target is touched."""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics.capture import endpoint, guard, walkers, ways
from forensics.capture.node import cost as node_cost
from forensics.capture.plan_endpoint import EndpointPlan, plan_endpoint
from forensics.capture.runtimes import Runtime
from forensics.capture.table import duration, html_table, size, text_table
from forensics.capture.targets import Target, inspect, look_at
from forensics.errors import CaptureError
from forensics.units import count

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, whether it is as it must be, and what was found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Plan:
    """What a capture would do: way in, walker, foretold cost of each snapshot, and what was checked."""

    target: Target
    way: str | None  # None: no way is open
    walker: str  # native or python
    walker_origin: str
    in_place: bool
    snapshots: int
    cost: guard.Cost
    headroom: int
    checks: tuple[Check, ...]
    degrees: tuple[node_cost.Degree, ...] = ()  # Node: what can be had for less

    @property
    def allowed(self) -> bool:
        """Whether the capture would be taken."""
        return all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON needs them."""
        record = dataclasses.asdict(self)
        return {**record, "target": self.target.to_dict(), "allowed": self.allowed}

    def to_pandas(self) -> pd.DataFrame:
        """The checks, one a row."""
        import pandas as pd

        return pd.DataFrame([dataclasses.asdict(check) for check in self.checks])

    def __str__(self) -> str:
        facts = text_table(("", ""), self._facts()).lstrip("\n").strip("\n")
        checks = text_table(_CHECK_COLUMNS, self._check_rows())
        degrees = text_table(_DEGREE_COLUMNS, self._degree_rows()) + "\n\n" if self.degrees else ""
        verdict = "It can be taken." if self.allowed else "It would be refused."
        return f"{self._title()}\n{facts.strip()}\n\n{degrees}{checks}\n\n{verdict} Nothing was touched."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        facts = html_table(("", ""), self._facts(), caption=self._title())
        if self.degrees:
            facts += html_table(_DEGREE_COLUMNS, self._degree_rows(), caption="In degrees")
        return facts + html_table(_CHECK_COLUMNS, self._check_rows(), caption="What was checked")

    def _title(self) -> str:
        target = self.target
        what = f"{target.name}, {target.runtime.capitalize()} {target.version}"
        return f"A capture of process {target.pid} ({what}), {count(self.snapshots, 'snapshot')}"

    def _facts(self) -> list[list[str]]:
        where = "in the process itself" if self.in_place else "in a forked child"
        return [
            ["way in", self.way or "none is open"],
            ["walker", f"{self.walker}, {where} ({self.walker_origin})"],
            ["objects, about", f"{self.cost.objects:,}"],
            ["pause of each snapshot", duration(self.cost.pause_seconds)],
            ["duration of each walk", duration(self.cost.walk_seconds)],
            ["extra memory", f"{size(self.cost.extra_bytes)}, at worst {size(self.cost.needed_bytes)}"],
            ["memory there is", size(self.headroom)],
            ["disk", size(self.cost.disk_bytes * self.snapshots)],
        ]

    def _degree_rows(self) -> list[list[str]]:
        return [
            [each.name, each.options, duration(each.pause_seconds), size(each.extra_bytes)]
            for each in self.degrees
        ]

    def _check_rows(self) -> list[list[str]]:
        return [[check.name, "yes" if check.passed else "NO", check.found] for check in self.checks]


_DEGREE_COLUMNS = ("degree", "asked for by", "pause, at most about", "extra memory")
_CHECK_COLUMNS = ("checked", "well", "found")


def plan(
    target: int | str,
    *,
    via: str = "auto",
    walker: str = "auto",
    snapshots: int = 1,
    in_place: bool = False,
    to: str | os.PathLike[str] = ".",
) -> Plan | EndpointPlan:
    """What ``capture`` with the same arguments would do and cost, without doing any of it.

    Raises
    ------
    TargetError : there is no such process, it is not ours, or nothing serves profiles of it.
    """
    try:
        pid = int(target)
    except ValueError:
        return plan_endpoint(endpoint.at(str(target)), snapshots, to)
    looked_at = look_at(pid)
    if looked_at.runtime == "node":
        return _node_plan(looked_at, via, snapshots, Path(to))
    if looked_at.runtime in endpoint.ADD_AN_ENDPOINT:
        return plan_endpoint(endpoint.required(pid, looked_at.name, looked_at.runtime), snapshots, to)
    found = inspect(pid)
    runtime = Runtime(found.runtime, found.version, found.library)
    choice = walkers.choose(pid, runtime, "python" if walker == "python" else "auto")
    memory, room = guard.memory_of(pid), guard.room_for(pid)
    cost = guard.foretell(memory, native=choice.native, in_place=in_place)
    needed = guard.needed_room(cost, memory, room, native=choice.native, in_place=in_place)
    way = next(iter(found.open_ways), None) if via == "auto" else via if via in found.open_ways else None
    asked = [each for each in found.ways if (each.name in ways.ORDER if via == "auto" else each.name == via)]
    free = shutil.disk_usage(_existing(Path(to))).free
    disk = cost.disk_bytes * snapshots
    checks = [
        Check(
            "way in",
            way is not None,
            "; ".join(f"{each.name} open" if each.open else str(each) for each in asked),
        ),
        Check("walker", not (walker == "native" and not choice.native), choice.origin),
        Check(
            "in place", choice.native or not in_place, "native walker only" if in_place else "not asked for"
        ),
        Check(
            "memory",
            needed <= room.headroom,
            f"{size(needed)} asked for, {room.limited_by} has {size(room.headroom)}",
        ),
        Check("memory.oom.group", True, _oom_words(room)),
        Check("disk", free > disk, f"{size(free)} free"),
        Check("stopped", _state(pid) not in "Tt", f"state {_state(pid)}"),
    ]
    return Plan(
        found,
        way,
        "native" if choice.native else "python",
        choice.origin,
        in_place,
        snapshots,
        cost,
        room.headroom,
        tuple(checks),
    )


def _node_plan(found: Target, via: str, snapshots: int, to: Path) -> Plan:
    """The plan for a Node process; how much of V8's heap is in use is known once its inspector is asked."""
    foretold = node_cost.foretell(node_cost.heap_of(found.pid))
    room = guard.room_for(found.pid)
    pause, extra = foretold.pause_seconds, foretold.extra_bytes
    cost = guard.Cost(foretold.nodes, pause, pause, extra, extra, foretold.disk_bytes)
    free = shutil.disk_usage(_existing(to)).free
    way = next((way for way in found.ways if via in ("auto", way.name)), None)
    checks = (
        Check("way in", way is not None and way.open, str(way) if way is not None else f"no way named {via}"),
        Check(
            "memory",
            extra <= room.headroom,
            f"at most {size(extra)}, {room.limited_by} has {size(room.headroom)}",
        ),
        Check("memory.oom.group", True, _oom_words(room)),
        Check("disk", free > cost.disk_bytes * snapshots, f"{size(free)} free"),
        Check("stopped", _state(found.pid) not in "Tt", f"state {_state(found.pid)}"),
    )
    open_way = way.name if way is not None and way.open else None
    degrees = node_cost.degrees(foretold)
    return Plan(found, open_way, "v8", "V8's own", True, snapshots, cost, room.headroom, checks, degrees)


def require(pid: int, *, native: bool, in_place: bool = False) -> guard.Cost:
    """The memory guard, as ``capture`` asks it before each snapshot; returns the foretold cost.

    Raises
    ------
    CaptureError : too little room, or the Python walker was asked to walk in place.
    """
    if in_place and not native:
        raise CaptureError(
            "The Python walker does not walk in the process itself: it would stand still for minutes, and other "
            "threads would change the heap meanwhile.",
            advice="Leave --in-place out, or give it a native walker (a C compiler, or the target's Python here).",
        )
    return guard.require_room(pid, native=native, in_place=in_place)[0]


def _oom_words(room: guard.Room) -> str:
    if room.group is None:
        return "no control group"
    return (
        "the whole container would be killed at the limit"
        if room.group.kills_as_one
        else "one process at most"
    )


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[0]
