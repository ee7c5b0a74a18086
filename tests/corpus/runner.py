"""Run the corpus: start services, drive them between snapshots, capture each from outside by its pid, judge.

    python -m tests.corpus.runner [CASE…] [--keep DIR] [--processes N]

prints every expectation that was not met, as facts, and recall, precision and the share of right holders.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from forensics.capture.take import Order
from forensics.capture.take import take as capture_process
from forensics.findings import Finding
from forensics.investigation import open_capture
from forensics.rules import judge
from forensics.specimens.moto import Moto
from forensics.verify import verify
from tests.corpus.cases import Case, Expected, cases
from tests.corpus.service import RunningCase, running
from tests.corpus.tables import seed

SNAPSHOTS = 4


@dataclass(frozen=True)
class Outcome:
    """What one expectation came to, with the tracer and without."""

    expected: Expected
    traced: bool
    finding: Finding | None
    wrong: tuple[str, ...]

    @property
    def holder_right(self) -> bool:
        """Whether a finding named the right place."""
        return self.finding is not None


@dataclass
class Result:
    """One case: how its expectations fared, what was found beside them, whether the mended twin is fixed."""

    case: Case
    outcomes: list[Outcome] = field(default_factory=list)
    surplus: list[tuple[str, Finding]] = field(default_factory=list)
    verdict: str | None = None
    causes: list[str] = field(default_factory=list)
    error: str | None = None
    seconds: float = 0.0

    @property
    def problems(self) -> list[str]:
        """Everything that is not as it must be, one line each."""
        found = [self.error] if self.error else []
        for outcome in self.outcomes:
            mode = "traced" if outcome.traced else "without tracer"
            found += [f"{mode}: {wrong}" for wrong in outcome.wrong]
        found += [f"{mode}: not asked for: {describe(finding)}" for mode, finding in self.surplus]
        if self.verdict not in (None, "fixed"):
            found.append(f"mended twin: verify says {self.verdict!r}: {'; '.join(self.causes)}")
        return found


def describe(finding: Finding) -> str:
    """A finding in one line."""
    data = finding.dynamodb
    what = f"{data.kind} {data.operation} {data.table} x{data.count}" if data else "not DynamoDB"
    return (
        f"{finding.rule} {finding.severity} [{finding.retainer.kind}] {finding.retainer.path} · {what} · "
        f"{finding.growth.shape} {finding.growth.bytes_per_second or 0:.0f} B/s"
    )


# -- one case --------------------------------------------------------------------------------------------------


def run_case(case: Case, environment: Mapping[str, str], folder: Path, steps: str = "judge verify") -> Result:
    """Capture the case and, unless it is a control, its mended twin; judge and verify.

    What ``folder`` holds from an earlier run is not captured again. ``steps`` may leave out "judge" or "verify".
    """
    begun = time.monotonic()
    result = Result(case)
    try:
        before = open_capture(take(case, {**environment, "MENDED": "0"}, folder / case.name / "leaking"))
        if "judge" not in steps:
            return result
        traced = judge(before.evidence)
        untraced = judge(dataclasses.replace(before.evidence, responses=None))
        for mode, findings, with_tracer in (("traced", traced, True), ("without tracer", untraced, False)):
            loud = [finding for finding in findings if finding.severity != "info"]
            matched = []
            for expected in case.expected:
                outcome = assess(case, expected, loud, traced=with_tracer)
                result.outcomes.append(outcome)
                matched.append(outcome.finding)
            result.surplus += [(mode, finding) for finding in loud if finding not in matched]
        if not case.control and "verify" in steps:
            mended = {**environment, "MENDED": "1"}
            after = open_capture(take(case, mended, folder / case.name / "mended", before.times))
            verification = verify(before.evidence, after.evidence)
            result.verdict = verification.verdict
            result.causes = [
                f"{cause.path} {cause.verdict} ({cause.reason})"
                for cause in verification.causes
                if cause.verdict != "fixed"
            ]
    except Exception:
        result.error = f"could not be run: {traceback.format_exc()[-1500:]}"
    result.seconds = time.monotonic() - begun
    return result


def take(case: Case, environment: Mapping[str, str], folder: Path, times: Sequence[float] = ()) -> Path:
    """Start the case, let it warm up, capture it, driving it once between each two snapshots.

    With the ``times`` of an earlier capture no snapshot is taken sooner than there: a capture after a fix must be as
    long as the one before to say as much, however busy the machine was then.
    """
    if (folder / "manifest.json").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with running(case, {**environment, "FORENSICS_TRACE": "1"}) as service:
        service.tick(case.warm)
        order = Order(snapshots=0, trigger=_EachRound(service, times), watch=300, sample_every=0.1)
        return capture_process(service.pid, folder, order)


@dataclass(frozen=True)
class _Decision:
    take: bool
    reason: str
    finished: bool


class _EachRound:
    """A trigger for ``Order``: a snapshot, a round of ticks, a snapshot …; no clock decides how much is done."""

    def __init__(self, service: RunningCase, times: Sequence[float]) -> None:
        self.service = service
        self.offsets = [moment - times[0] for moment in times]
        self.taken = 0
        self.begun = 0.0

    def feed(self, sample: Mapping[str, float | None]) -> _Decision:
        """Drive the service, except before the first snapshot."""
        if self.taken:
            self.service.tick(self.service.case.ticks)
        else:
            self.begun = time.monotonic()
        if self.offsets:
            time.sleep(max(0.0, self.begun + self.offsets[self.taken] - time.monotonic()))
        self.taken += 1
        return _Decision(True, f"round {self.taken}", self.taken == SNAPSHOTS)

    def took(self, size: int) -> None:
        """Nothing depends on the size."""


# -- what is right ---------------------------------------------------------------------------------------------


def assess(case: Case, expected: Expected, findings: Iterable[Finding], *, traced: bool) -> Outcome:
    """Compare one expectation with the findings above ``info``."""
    here = [finding for finding in findings if at_holder(case, expected, finding)]
    by_rule = [finding for finding in here if fits_rule(expected, finding)]
    if not by_rule:
        seen = [describe(finding) for finding in (here or findings)]
        place = expected.holder or "a holder of kind " + "/".join(expected.retainers)
        return Outcome(
            expected,
            traced,
            None,
            (f"{'/'.join(expected.rules)} at {place} not found; found: {seen or 'nothing'}",),
        )
    finding = by_rule[0]
    return Outcome(expected, traced, finding, tuple(differences(case, expected, finding, traced=traced)))


def fits_rule(expected: Expected, finding: Finding) -> bool:
    """Whether the finding's rule is one of those expected; ``any`` allows all."""
    return finding.rule in expected.rules or expected.rules == ("any",)


def at_holder(case: Case, expected: Expected, finding: Finding) -> bool:
    """Whether the finding names the place that a person would edit."""
    retainer = finding.retainer
    if expected.holder is None:
        return retainer.kind in expected.retainers
    path = retainer.path.replace("__main__", case.name)
    if not expected.words:
        return path == expected.holder
    return expected.holder in path and any(word in path for word in expected.words)


def differences(case: Case, expected: Expected, finding: Finding, *, traced: bool) -> Iterable[str]:
    """What is wrong with a finding that stands at the right place."""
    at = f"{finding.rule} at {finding.retainer.path}"
    if finding.retainer.kind not in expected.retainers:
        yield f"{at}: retainer kind {finding.retainer.kind!r}, expected {'/'.join(expected.retainers)}"
    data = finding.dynamodb
    if expected.kinds is None:
        if data is not None:
            yield f"{at}: said to hold DynamoDB's {data.kind}, which it does not"
        return
    if data is None:
        yield f"{at}: not recognised as DynamoDB's; expected {'/'.join(expected.kinds)}"
        return
    if data.kind not in expected.kinds:
        yield f"{at}: kind {data.kind!r}, expected {'/'.join(expected.kinds)}"
    for name in ("operation", "table"):
        wanted, said = getattr(expected, name), getattr(data, name)
        if wanted is not None and said != wanted:
            yield f"{at}: {name} {said!r}, expected {wanted!r}"
    if traced and expected.call_sites:
        lines = [f"{case.file.name}:{n}" for site in expected.call_sites for n in case.lines_of(site)]
        evidence = " ".join(finding.evidence) + " "
        if not any(f"{line}{end}" in evidence for line in lines for end in " ,;.)"):
            sites = "/".join(expected.call_sites)
            yield f"{at}: evidence names no line of {sites} in {case.file.name}: {evidence[:400]}"


# -- all of them -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """How well the rules did over all cases that were run."""

    results: tuple[Result, ...]

    def _outcomes(self, traced: bool) -> list[Outcome]:
        return [outcome for result in self.results for outcome in result.outcomes if outcome.traced == traced]

    def recall(self, traced: bool = True) -> float:
        """Share of expected findings that were raised at the right place."""
        outcomes = self._outcomes(traced)
        return sum(outcome.holder_right for outcome in outcomes) / len(outcomes) if outcomes else 1.0

    def precision(self, traced: bool = True) -> float:
        """Share of the findings above ``info`` that were expected, controls included."""
        mode = "traced" if traced else "without tracer"
        right = sum(outcome.holder_right for outcome in self._outcomes(traced))
        wrong = sum(each == mode for result in self.results for each, _ in result.surplus)
        return right / (right + wrong) if right + wrong else 1.0

    def right_holders(self, traced: bool = True) -> float:
        """Share of expected findings right in everything: place, kinds, operation, table, call site."""
        outcomes = self._outcomes(traced)
        return sum(outcome.holder_right and not outcome.wrong for outcome in outcomes) / max(1, len(outcomes))

    def fixed(self) -> float:
        """Share of mended twins of which ``verify`` says fixed."""
        judged = [result for result in self.results if not result.case.control]
        return sum(result.verdict == "fixed" for result in judged) / max(1, len(judged))

    def __str__(self) -> str:
        lines = []
        for traced, mode in ((True, "with the tracer"), (False, "without it")):
            lines.append(
                f"{mode:16} recall {self.recall(traced):.3f}  precision {self.precision(traced):.3f}  "
                f"right in everything {self.right_holders(traced):.3f}"
            )
        controls = [result for result in self.results if result.case.control]
        quiet = sum(not result.problems for result in controls)
        lines.append(f"{'mended twins':16} fixed {self.fixed():.3f}")
        lines.append(f"{'controls':16} quiet {quiet} of {len(controls)}")
        return "\n".join(lines)


def run_all(
    wanted: Iterable[Case],
    folder: Path,
    processes: int = 3,
    report: Callable[[Result], None] = lambda result: None,
    steps: str = "judge verify",
) -> Score:
    """Run these cases, ``processes`` at a time, on one DynamoDB of their own."""
    results = []
    with Moto() as moto:
        seed(moto.client())
        with ProcessPoolExecutor(processes) as pool:
            jobs = [pool.submit(run_case, case, moto.environment, folder, steps) for case in wanted]
            for job in as_completed(jobs):
                results.append(job.result())
                report(results[-1])
    return Score(tuple(sorted(results, key=lambda result: result.case.name)))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*")
    parser.add_argument(
        "--keep", type=Path, help="keep the captures in this folder, and use those that are there"
    )
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--steps", default="judge verify", help="what to do beside capturing")
    options = parser.parse_args()
    wanted = [case for case in cases() if not options.cases or case.name in options.cases]
    begun = time.monotonic()

    def report(result: Result) -> None:
        print(
            f"{'ok ' if not result.problems else 'BAD'} {result.case.name} ({result.seconds:.0f} s)",
            flush=True,
        )
        for problem in result.problems:
            print(f"    {problem}", flush=True)

    with tempfile.TemporaryDirectory(prefix="corpus-") as temporary:
        score = run_all(wanted, options.keep or Path(temporary), options.processes, report, options.steps)
    print(score)
    print(f"{len(wanted)} cases in {time.monotonic() - begun:.0f} s")
    return any(result.problems for result in score.results)


if __name__ == "__main__":
    sys.exit(main())
