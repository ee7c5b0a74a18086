"""What every report is made of, gathered once from a capture; formats only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

import forensics
from forensics.dynamodb.chains import ReferenceChains
from forensics.findings import Findings
from forensics.growth import Verdict, judge_process
from forensics.plots.charts import Line

__all__ = ["Material", "Reportable", "gather"]


class Reportable(Protocol):
    """What a report asks of a capture; ``forensics.open`` gives one."""

    @property
    def manifest(self) -> dict[str, Any]: ...  # noqa: D102
    @property
    def snapshots(self) -> Sequence[Any]: ...  # noqa: D102
    @property
    def times(self) -> Sequence[float]: ...  # noqa: D102
    @property
    def process(self) -> pd.DataFrame | None: ...  # noqa: D102
    def findings(self) -> Findings: ...  # noqa: D102
    def chains(self) -> ReferenceChains: ...  # noqa: D102
    def diff(self) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Material:
    """The facts of one report.

    ``heap_bytes`` holds the reachable bytes of each snapshot, ``heap_objects`` how many objects
    where that is known, ``seconds`` its time since the first counter;
    ``growth`` is the verdict on the resident set's series; ``process_lines`` and ``holder_lines`` are the series of
    the two charts; ``files`` the checksums.
    """

    name: str
    made: datetime
    tool_version: str
    manifest: dict[str, Any]
    findings: Findings
    chains: ReferenceChains | None
    seconds: tuple[float, ...]
    heap_bytes: tuple[int, ...]
    heap_objects: tuple[int | None, ...]
    process_lines: tuple[Line, ...]
    holder_lines: tuple[Line, ...]
    files: dict[str, dict[str, Any]]
    growth: Verdict | None = None
    missing: tuple[str, ...] = ()

    @property
    def taken(self) -> str:
        """When the capture was made, UTC, or a dash."""
        when = self.manifest.get("taken_at")
        if not isinstance(when, int | float):
            return str(when) if when else "—"
        return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def secrets(self) -> dict[str, int]:
        """What looked like a secret in the last snapshot, counted by kind before it was masked."""
        snapshots = self.manifest.get("snapshots") or [{}]
        return {str(kind): int(number) for kind, number in (snapshots[-1].get("secrets") or {}).items()}

    @property
    def masked(self) -> str:
        """``masked``, ``full`` or ``none``."""
        return str(self.manifest.get("values", "masked"))


def gather(capture: Reportable) -> Material:
    """Ask the capture for everything a report says.

    What a capture does not hold (no counters, a single snapshot, no object graph) is left out and named in
    ``missing``, so that a report never passes over a gap in silence.
    """
    manifest = dict(capture.manifest)
    snapshots = list(capture.snapshots)
    process = capture.process
    times = [float(time) for time in capture.times]
    start = min(
        [*times, *([float(process["time"].min())] if process is not None and len(process) else [])] or [0]
    )
    seconds = tuple(time - start for time in times)
    missing: list[str] = []
    lines: list[Line] = []
    if process is not None and len(process):
        since = [float(value) - start for value in process["time"]]
        for column, name in (("rss", "resident set (RSS)"), ("pss", "proportional set (PSS)")):
            if column in process and process[column].notna().any():
                lines.append(Line(name, since, [float(value) for value in process[column]]))
                break
    else:
        missing.append("no process counters: growth is judged from the snapshots alone")
    heap = [int(graph.shallow_sizes[graph.reachable()].sum()) for graph in snapshots]
    if len(heap) > 1:
        lines.append(Line("live heap", seconds, [float(value) for value in heap]))
    elif snapshots:
        missing.append("a single snapshot: nothing can be said about growth of single holders")
    else:
        missing.append("no object graph: findings rest on allocations and counters")
    judged = judge_process(process)
    of_profiles = None if snapshots else _profiles(capture)
    if of_profiles is not None:
        lines.append(of_profiles.line)
    findings = capture.findings()
    return Material(
        name=findings.capture or str(manifest.get("name", "capture")),
        made=datetime.now(UTC),
        tool_version=forensics.__version__,
        manifest=manifest,
        findings=findings,
        chains=capture.chains() if snapshots or getattr(capture, "references", None) is not None else None,
        seconds=of_profiles.seconds if of_profiles else seconds,
        heap_bytes=of_profiles.live if of_profiles else tuple(heap),
        heap_objects=of_profiles.objects
        if of_profiles
        else tuple(int(graph.reachable().sum()) for graph in snapshots),
        process_lines=tuple(lines),
        holder_lines=of_profiles.handlers
        if of_profiles
        else _holders(capture, seconds)
        if len(snapshots) > 1
        else (),
        files=dict(manifest.get("files", {})),
        growth=judged
        and judged.beside([int(each.get("objects", 0)) for each in manifest.get("snapshots", [])]),
        missing=tuple(missing),
    )


def _holders(capture: Reportable, seconds: tuple[float, ...], limit: int = 6) -> tuple[Line, ...]:
    series = sorted(capture.diff().holders, key=lambda each: -float(each.bytes[-1] - each.bytes[0]))
    most = float(series[0].bytes[-1] - series[0].bytes[0]) if series else 0.0
    moved = [each for each in series if most and float(each.bytes[-1] - each.bytes[0]) >= 0.05 * most]
    series = moved or series[:3]
    return tuple(
        Line(_name(each), seconds, [float(value) for value in each.bytes]) for each in series[:limit]
    )


@dataclass(frozen=True)
class _Profiles:
    """The series of a capture of allocation profiles: live bytes, objects, and the handlers that moved most."""

    seconds: tuple[float, ...]
    live: tuple[int, ...]
    objects: tuple[int | None, ...]
    line: Line
    handlers: tuple[Line, ...]


def _profiles(capture: Any, limit: int = 6) -> _Profiles | None:
    """None where a capture has no two profiles of live memory with their times."""
    profiles = getattr(capture, "memory_profiles", ())
    seconds = capture.evidence.profile_seconds() if len(profiles) > 1 else []
    if not seconds or len(seconds) != len(profiles):
        return None
    from forensics.rules.by_handlers.series import held_by_handler

    live = tuple(each.total("live") for each in profiles)
    groups = sorted(held_by_handler(profiles).values(), key=lambda each: -each.grown())[:limit]
    handlers = tuple(
        Line(group.name or "(application not on the stack)", seconds, group.total().tolist())
        for group in groups
        if group.grown() > 0
    )
    objects = tuple(
        int(counts.sum()) if (counts := each.measures["live"].counts) is not None else None
        for each in profiles
    )
    line = Line("live heap (profiles)", seconds, [float(each) for each in live])
    return _Profiles(tuple(seconds), live, objects, line, handlers)


def _name(series: Any) -> str:
    retainer = getattr(series, "retainer", None)
    return str(getattr(retainer, "path", None) or series.path)


def capture_name(manifest: dict[str, Any], fallback: str) -> str:
    """What was running, for a title: the command line without its folders and from the first option on."""
    command = [str(part) for part in manifest.get("command_line") or ()]
    if not command:
        return Path(fallback).name
    words = [Path(command[0]).name or command[0]]
    for word in command[1:]:
        if word.startswith("-") and word != "-m":
            break
        words.append(Path(word).name if word.startswith("/") else word)
    title = " ".join(words)
    return title if len(title) <= 80 else title[:79] + "…"
