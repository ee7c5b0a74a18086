"""Capture: an opened capture with everything that can be asked of it, and the verbs that ask it.

This is where the rooms meet: the bundle on disk, the object graphs in it, what the rules make of them. It holds no
analysis of its own.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forensics import units
from forensics.bundle import Bundle
from forensics.errors import BundleError, ForensicsError
from forensics.findings import Findings

if TYPE_CHECKING:
    import pandas as pd

    from forensics.dynamodb.chains import ReferenceChains
    from forensics.growth import Verdict as GrowthVerdict
    from forensics.heap import HeapGraph
    from forensics.heap.diff import HeapDiff
    from forensics.profiles.diff import ProfileDiff
    from forensics.profiles.model import AllocationProfile
    from forensics.rules.evidence import Evidence
    from forensics.verify import Verification

__all__ = ["Capture", "chains", "diff", "findings", "open_capture", "report", "show", "sql", "verify"]


class Snapshots(Sequence["HeapGraph"]):
    """The object graphs of a capture, each opened by memory map when it is first asked for."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = list(folders)
        self._open: dict[int, HeapGraph] = {}

    def __len__(self) -> int:
        return len(self._folders)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        if position not in self._open:
            from forensics.formats.snapshot import load

            self._open[position] = load(self._folders[position])
        return self._open[position]

    def __repr__(self) -> str:
        return f"<{len(self)} snapshots>"


class Capture:
    """A capture that was opened; nothing of it is read before it is asked for."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.snapshots = Snapshots([bundle.folder / name for name in _snapshot_names(bundle)])

    # -- what is in it -----------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """Where the capture lies."""
        return self.bundle.folder

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.bundle.folder.resolve().name

    @property
    def manifest(self) -> dict[str, Any]:
        """What was captured, when, how and at what cost."""
        return self.bundle.manifest

    @property
    def runtime(self) -> str:
        """``python``, ``node``, ``go`` or ``rust``."""
        return str(self.manifest.get("runtime", "unknown"))

    @property
    def times(self) -> list[float]:
        """When each snapshot was taken, seconds since the epoch."""
        return [float(entry["taken_at"]) for entry in self.manifest.get("snapshots", [])]

    @cached_property
    def process(self) -> pd.DataFrame | None:
        """Counters of the process over time, or None."""
        return self._table("process.parquet")

    @cached_property
    def responses(self) -> pd.DataFrame | None:
        """What the DynamoDB tracer noted, or None where the service does not run it."""
        return self._table("responses.parquet")

    @cached_property
    def sources(self) -> pd.DataFrame | None:
        """Where the program's names are defined and filled, or None."""
        return self._table("sources.parquet")

    @property
    def allocations(self) -> list[Path]:
        """Allocation profiles as their tools wrote them."""
        return [self.folder / name for name in self.bundle.names("allocations/")]

    @cached_property
    def census(self) -> pd.DataFrame | None:
        """What ``--census`` counted: a row for each container, its elements each time; None where there is none.

        Columns: path, kind, shape (names of the first element's properties), elements 0, elements 1 …
        """
        from forensics.census import table

        files = [self.folder / name for name in self.bundle.names("census/")]
        return table(files) if files else None

    @cached_property
    def evidence(self) -> Evidence:
        """Everything the rules may look at."""
        from forensics.rules.evidence import Evidence

        return Evidence(
            name=self.name,
            folder=str(self.folder),
            runtime=self.runtime,
            snapshots=self.snapshots,
            times=self.times,
            process=self.process,
            responses=self.responses,
            sources=self.sources,
            profiles=self.profiles,
            profile_times=self.profile_times,
            goroutines=self.goroutines,
            goroutine_text=self.goroutine_text,
            rates=self.rates,
            references=self.references,
            manifest=self.manifest,
        )

    @cached_property
    def memory_profiles(self) -> tuple[Any, ...]:
        """The profiles that know what is live, oldest first."""
        return tuple(
            each
            for each in self.profiles
            if "live" in each.measures and each.origin.stacks_are == "allocations"
        )

    @cached_property
    def profiles(self) -> tuple[Any, ...]:
        """The allocation profiles in it, loaded; memray's with addresses where there are objects to find by them."""
        from forensics.formats import guess

        joined = {"measures": ("live", "peak"), "over_time": False, "addresses": True}
        loaded = []
        for path in self.allocations:
            loader = guess(path)
            options = joined if loader.name == "memray" and len(self.snapshots) else {}
            loaded.append(loader.load(path, **options))
        return tuple(loaded)

    @cached_property
    def growth(self) -> GrowthVerdict | None:
        """What the process's resident set over time says, beside the snapshots; None where it was not sampled."""
        from forensics.growth import judge_process

        judged = judge_process(self.process)
        counts = [int(entry["objects"]) for entry in self.manifest.get("snapshots", []) if "objects" in entry]
        return judged and judged.beside(counts)

    @property
    def profile_times(self) -> list[float]:
        """When each profile was taken, seconds since the epoch; empty where the manifest does not say."""
        times = [
            entry.get("taken_at") or entry.get("start") for entry in self.manifest.get("allocations", [])
        ]
        return [] if None in times else [float(each) for each in times]

    @cached_property
    def goroutines(self) -> tuple[Any, ...]:
        """Go's goroutines, one profile for each moment; empty where there are none."""
        from forensics.formats.pprof import load_goroutines

        names = [name for name in self.bundle.names("goroutines/") if name[11:14].isdigit()]
        return tuple(load_goroutines(self.folder / name) for name in names)

    @cached_property
    def rates(self) -> tuple[Any, ...]:
        """What Go allocated in some seconds each time, freed or not; empty where that was not taken."""
        from forensics.formats.pprof import load_rates

        return tuple(load_rates(self.folder / name) for name in self.bundle.names("rates/"))

    @cached_property
    def references(self) -> AllocationProfile | None:
        """The references of a Go process as grf walked them, or None; their stacks are ways, outermost last."""
        from forensics.formats.pprof import load

        names = self.bundle.names("references/")
        return load(self.folder / names[-1]) if names else None

    @property
    def goroutine_text(self) -> str | None:
        """What ``goroutine?debug=2`` wrote at the end, or None."""
        file = "goroutines/text.txt"
        if file not in self.manifest.get("files", {}):
            return None
        return (self.folder / file).read_text(errors="replace")

    # -- the verbs -----------------------------------------------------------------------------------------------

    def findings(self) -> Findings:
        """Judge the capture; the judgement is kept beside it where the folder can be written."""
        return self._findings

    @cached_property
    def _findings(self) -> Findings:
        from forensics.rules import judge

        judged = judge(self.evidence)
        if os.access(self.folder, os.W_OK):
            self.bundle.write("findings.json", lambda path: path.write_text(judged.to_json() + "\n"))
        return judged

    def diff(self, between: tuple[int, int] | None = None) -> HeapDiff | ProfileDiff:
        """What grew over all snapshots, or between two of them; of profiles where there is no object graph."""
        from forensics.heap.course import told
        from forensics.heap.diff import diff as heap_diff

        if not len(self.snapshots) and len(self.memory_profiles) > 1:
            from forensics.profiles.diff import diff as profile_diff

            moments = _in_order([self._of_profiles(each) for each in between or (0, -1)])
            return profile_diff(*(self.memory_profiles[each] for each in moments), measure="live")
        self._need_snapshots(2)
        chosen: Sequence[int] = range(len(self.snapshots))
        if between is not None:
            chosen = _in_order([self._position(i) for i in between])
        graphs = [self.snapshots[i] for i in chosen]
        return told(heap_diff(graphs, times=[self.times[i] for i in chosen]), graphs)

    def chains(self, snapshot: int = -1, *, to: str | None = None) -> ReferenceChains:
        """The merged reference chains from roots to DynamoDB objects, or to those of one kind only."""
        from forensics.dynamodb.chains import chains as build
        from forensics.dynamodb.chains import of_references

        if not len(self.snapshots) and self.references is not None:
            return of_references(self.references, to=to)
        self._need_snapshots(1)
        return build(self.snapshots[self._position(snapshot)], sources=self.sources, to=to)

    def sql(self, query: str, snapshot: int = -1) -> pd.DataFrame:
        """Run one SQL query over ``objects``, ``edges`` and ``roots`` of a snapshot."""
        self._need_snapshots(1)
        return self.snapshots[self._position(snapshot)].sql(query)

    def report(
        self, out: str | os.PathLike[str] | None = None, format: str = "html", *, force: bool = False
    ) -> Path:
        """Write the report; returns its path. A file that is no report of ours is replaced with ``force`` only."""
        from forensics.report import write_report

        return write_report(self, out, format, force=force)

    def investigate(self) -> Any:
        """Series, two moments, diff, holder, chain and finding, in one notebook cell."""
        from forensics.plots.investigate import investigate

        return investigate(self)

    # -- looks -----------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return "\n".join(f"{label:<12}{value}" for label, value in self.summary())

    def _repr_html_(self) -> str:
        from forensics.report.card import capture_card

        return capture_card(self)

    def summary(self) -> Iterator[tuple[str, str]]:
        """(label, value) pairs that say what this capture is, for text and HTML alike."""
        manifest = self.manifest
        command = " ".join(manifest.get("command_line", []))
        yield "capture", str(self.folder)
        runtime = f"{self.runtime} {manifest.get('runtime_version') or ''}".strip()
        yield "process", runtime if manifest.get("pid") is None else f"PID {manifest['pid']}, {runtime}"
        if command:
            yield "command", command if len(command) <= 100 else command[:99] + "…"
        for number, entry in enumerate(manifest.get("snapshots", [])):
            pause = entry.get("pause_seconds")
            cost = f", paused {units.pause(pause)}" if pause is not None else ""
            size = f"{entry['objects']:,} objects, {entry['references']:,} references"
            yield f"snapshot {number}", f"{size} ({entry.get('walker')} walker{cost})"
        if self.growth is not None:
            yield "growth", f"of the resident set: {self.growth.headline}"
        if self.census is not None:
            from forensics.census import lines

            yield from (("container", line) for line in lines(self.census))
        if self.allocations:
            yield "profiles", ", ".join(path.name for path in self.allocations)
        if rates := manifest.get("rates"):
            told = [each for each in rates if each["bytes_per_second"]]
            said = [f"{units.size(each['bytes_per_second'])}/s over {each['seconds']:.0f} s" for each in told]
            silent = (
                f"; {len(rates) - len(told)} × no collection to tell by" if len(told) < len(rates) else ""
            )
            yield "allocated", f"at least, freed or not: {', '.join(said) or 'not told'}{silent}"
        elif manifest.get("rates_refused"):
            yield "allocated", f"not told: {manifest['rates_refused']}"
        for static in (manifest.get("allocations") or [{}])[-1].get("statics", ()):
            sure = "" if static["proved"] else ", likely"
            yield "static", f"{static['static']}: {static['container']} of {static['elements']:,}{sure}"
        if walked := manifest.get("references"):
            stood = walked.get("seconds")
            cost = f"; the process stood still for {stood:.1f} s" if stood else ""
            yield "references", f"{walked['file']}, walked by grf{cost}"
        if manifest.get("endpoint"):
            yield "endpoint", str(manifest["endpoint"])
        yield "values", _VALUES_SAID.get(str(manifest.get("values")), str(manifest.get("values")))
        if not manifest.get("complete", True):
            yield "cut short", str(manifest.get("cut_short", "the capture did not finish"))

    def highlights(self, limit: int = 10) -> Iterator[tuple[str, Any]]:
        """(title, result) of what stands out in the last snapshot: types, holders, DynamoDB objects.

        Then, where there are any, the captured variables that no living function uses. Each result has a text and an
        HTML form and ``to_pandas()``.
        """
        if not len(self.snapshots):
            yield from self._highlights_of_profiles(limit)
            return
        graph = self.snapshots[-1]
        census = graph.census(by="type")
        yield "types", dataclasses.replace(census, rows=census.rows[:limit])
        yield "holders", graph.holders(limit=limit)
        yield "dynamodb", self.recognised
        unused = graph.unused_variables()
        if len(unused):
            yield "unused", dataclasses.replace(unused, rows=unused.rows[:limit])

    def _highlights_of_profiles(self, limit: int) -> Iterator[tuple[str, Any]]:
        from forensics.profiles.naming import operations_of
        from forensics.profiles.tables import ByHandler, ByPlace, WaitingGoroutines

        if self.memory_profiles:
            hints = operations_of(self.responses, self.sources)
            yield "places", ByPlace.of(self.memory_profiles[-1], hints, limit)
        if self.memory_profiles and self.runtime in ("go", "rust"):
            yield "handlers", ByHandler.of(self.memory_profiles, limit, self.rates)
        if self.goroutines:
            yield "goroutines", WaitingGoroutines.of(self.goroutines, self.goroutine_text, limit)

    @cached_property
    def recognised(self) -> Any:
        """The DynamoDB objects of the last snapshot."""
        from forensics.dynamodb.recognise import recognise

        self._need_snapshots(1)
        return recognise(self.snapshots[-1])

    # -- inside ----------------------------------------------------------------------------------------------------

    def _table(self, name: str) -> pd.DataFrame | None:
        if name not in self.manifest.get("files", {}):
            return None
        import pandas as pd

        return pd.read_parquet(self.folder / name)

    def _position(self, index: int) -> int:
        try:
            return range(len(self.snapshots))[index]
        except IndexError:
            raise BundleError(
                f"{self.folder} has no snapshot {index}.",
                advice=f"It has {len(self.snapshots)}, counted from 0.",
            ) from None

    def _of_profiles(self, index: int) -> int:
        try:
            return range(len(self.memory_profiles))[index]
        except IndexError:
            raise BundleError(
                f"{self.folder} has no profile {index}.",
                advice=f"It has {len(self.memory_profiles)}, counted from 0.",
            ) from None

    def _need_snapshots(self, count: int) -> None:
        if not len(self.snapshots) and (self.allocations or self.references is not None):
            raise BundleError(
                f"{self.folder} holds allocation profiles and no object graph, which this needs.",
                advice=self._instead_of_snapshots(),
            )
        if len(self.snapshots) < count:
            raise BundleError(
                f"{self.folder} has {len(self.snapshots)} snapshot{'' if len(self.snapshots) == 1 else 's'}; "
                f"this needs {count}.",
                advice=f"Take the capture again with --snapshots {max(count, 3)}.",
            )

    def _instead_of_snapshots(self) -> str:
        """Which verbs answer for a capture without an object graph, and how to come by one."""
        verbs = ["show", "findings", "verify", "report"]
        verbs += (
            ["diff"] if len(self.memory_profiles) > 1 else ["diff CAPTURE OTHER"] * bool(self.memory_profiles)
        )
        verbs += ["chains"] if self.references is not None else []
        said = f"It is told by: {', '.join(f'forensics {verb}' for verb in verbs)}."
        if self.runtime in ("python", "node"):
            return f"{said} For an object graph capture the running process with --snapshots 3."
        if self.runtime == "go" and self.references is None:
            return f"{said} For chains capture the running process with --chains, which asks grf."
        return said


_VALUES_SAID = {
    "masked": "masked: lengths, character classes and keyed hashes only",
    "full": "FULL: this capture holds the values of the service's data",
    "none": "none taken",
}


def _in_order(moments: Sequence[int]) -> Sequence[int]:
    """The moments of ``between``, the earlier first; BundleError where they are not."""
    first, last = moments
    if first >= last:
        found = "the same moment twice" if first == last else "the later one first"
        raise BundleError(
            f"--between {first} {last} is {found}: nothing can have grown.",
            advice="Give the earlier one first: --between 0 1, or --between 0 -1 for the first and the last.",
        )
    return moments


def _snapshot_names(bundle: Bundle) -> list[str]:
    return [str(entry["name"]) for entry in bundle.manifest.get("snapshots", [])]


def open_capture(folder: str | os.PathLike[str] | Capture) -> Capture:
    """Open a capture.

    Raises
    ------
    BundleError : there is none, it was altered or cut short in copying, or its format is newer.
    """
    return folder if isinstance(folder, Capture) else Capture(Bundle.open(folder))


def show(capture: str | os.PathLike[str] | Capture) -> Capture:
    """What is in a capture; its text and HTML forms are the summary."""
    return open_capture(capture)


def diff(
    capture: str | os.PathLike[str] | Capture,
    other: str | os.PathLike[str] | Capture | None = None,
    *,
    between: tuple[int, int] | None = None,
) -> HeapDiff | ProfileDiff:
    """What grew in a capture, or from the last snapshot of one capture to the last of another."""
    if other is not None and between is not None:
        raise ForensicsError(
            "A second capture and --between were given: --between chooses two snapshots of one capture.",
            advice="Leave out one of them; of two captures the last snapshots are compared.",
        )
    opened = open_capture(capture)
    if other is None:
        return opened.diff(between)
    from forensics.heap.course import told
    from forensics.heap.diff import diff as heap_diff

    second = open_capture(other)
    if not len(opened.snapshots) and opened.memory_profiles and second.memory_profiles:
        from forensics.profiles.diff import diff as profile_diff

        return profile_diff(
            opened.memory_profiles[-1], second.memory_profiles[-1], measure="live", lines=False
        )
    opened._need_snapshots(1)
    second._need_snapshots(1)
    graphs = [opened.snapshots[-1], second.snapshots[-1]]
    return told(heap_diff(graphs, times=[opened.times[-1], second.times[-1]]), graphs)


def chains(
    capture: str | os.PathLike[str] | Capture, snapshot: int = -1, *, to: str | None = None
) -> ReferenceChains:
    """The merged reference chains from roots to DynamoDB objects, or to those of one kind only."""
    return open_capture(capture).chains(snapshot, to=to)


def findings(capture: str | os.PathLike[str] | Capture) -> Findings:
    """Judge a capture."""
    return open_capture(capture).findings()


def verify(before: str | os.PathLike[str] | Capture, after: str | os.PathLike[str] | Capture) -> Verification:
    """Did the fix work: numbers per cause, and a verdict."""
    from forensics.verify import verify as compare

    return compare(open_capture(before).evidence, open_capture(after).evidence)


def report(
    capture: str | os.PathLike[str] | Capture,
    out: str | os.PathLike[str] | None = None,
    format: str = "html",
    *,
    force: bool = False,
) -> Path:
    """Write the findings report (html, md, json or sarif); returns its path.

    An earlier report is replaced; another file with ``force`` only.
    """
    return open_capture(capture).report(out, format, force=force)


def sql(capture: str | os.PathLike[str] | Capture, query: str, snapshot: int = -1) -> pd.DataFrame:
    """Run one SQL query over ``objects``, ``edges`` and ``roots`` of a snapshot."""
    return open_capture(capture).sql(query, snapshot)
