"""The whole story on a real service: it leaks, the toolkit says where, the mended twin is proved clean."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

import forensics as fx
from forensics import units
from forensics.errors import BundleError
from forensics.findings import Finding, Findings, growth_text
from forensics.specimens.load import Load, LoadResult
from forensics.specimens.moto import Moto
from forensics.specimens.orders import seed_tables
from forensics.specimens.program import SpecimenError
from forensics.specimens.service import Service, Specimen, fastapi

#: Orders in the table, requests before the first snapshot, snapshots, seconds from one to the next.
ORDERS = 2000
WARM_UP = 120
SNAPSHOTS = 3
EVERY = 5.0


@dataclass(frozen=True)
class DemoResult:
    """What the demo found.

    ``findings`` and ``finding`` (the first of them) are those of the leaking service, ``verification`` compares it
    with its mended twin, ``loads`` holds the load generator's own counts in that order, ``seconds`` is how long
    it all took.
    """

    out: Path
    finding: Finding
    findings: Findings
    verification: Any
    loads: tuple[LoadResult, LoadResult]
    seconds: float

    @property
    def leaking(self) -> Path:
        """The capture of the leaking service."""
        return self.out / "leaking"

    @property
    def mended(self) -> Path:
        """The capture of the mended service."""
        return self.out / "mended"

    @property
    def report(self) -> Path:
        """The report on the leaking service, one HTML file."""
        return self.out / "report.html"

    @property
    def failed_requests(self) -> int:
        """Requests that failed, over both services."""
        return sum(load.failed for load in self.loads)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON types."""
        return {
            "out": str(self.out),
            "finding": self.finding.to_dict(),
            "fixed": bool(self.verification.fixed),
            "requests": sum(load.requests for load in self.loads),
            "failed_requests": self.failed_requests,
            "seconds": round(self.seconds, 1),
        }


def demo(out: Path | None = None, *, console: Console | None = None) -> DemoResult:
    """Run the leaking service and its mended twin under load, capture both while they serve, judge and compare.

    Starts moto's DynamoDB, one service at a time and a load generator, all on free ports of 127.0.0.1, and ends
    them again whatever happens: an error, Ctrl-C, SIGTERM.

    Parameters
    ----------
    out : a folder that does not exist or is empty; gets ``leaking``, ``mended`` and ``report.html``. A new
        temporary folder where left out.
    console : where to tell the story; standard output by default.

    Raises
    ------
    BundleError : ``out`` holds something already, or cannot be made.
    SpecimenError : a service did not start, or a request failed.
    """
    began = time.monotonic()
    console = console or Console(highlight=False)
    with _terminated_like_interrupted(), _folder(out) as folder:
        with Moto() as moto:
            _seed(moto, console)
            first = _observe(fastapi("leaking"), moto, folder / "leaking", console)
            findings = fx.open(folder / "leaking").findings()
            finding = _first(findings)
            _tell_finding(finding, first, console)
            second = _observe(fastapi("mended"), moto, folder / "mended", console)
        verification = fx.verify(folder / "leaking", folder / "mended")
        fx.report(folder / "leaking", folder / "report.html")
        result = DemoResult(
            folder, finding, findings, verification, (first, second), time.monotonic() - began
        )
        _tell_verdict(result, console)
    return result


def _observe(specimen: Specimen, moto: Moto, to: Path, console: Console) -> LoadResult:
    """Capture one service while it answers; the load generator's count."""
    with (
        Service(specimen, moto) as service,
        Load(service.url, orders=ORDERS) as load,
        _progress(console, load) as progress,
    ):
        task = progress.add_task(f"{specimen.variant} service, pid {service.pid}", total=WARM_UP)
        while load.requests < WARM_UP:
            load.wait_for(min(load.requests + 5, WARM_UP))
            progress.update(task, completed=load.requests)
        progress.update(task, completed=0, total=SNAPSHOTS)
        fx.capture(service.pid, to=to, snapshots=SNAPSHOTS, every=EVERY, progress=_shown_in(progress, task))
        progress.update(task, completed=SNAPSHOTS)
        result = load.stop()
    if result.failed:
        raise SpecimenError(
            f"Requests to the {specimen.variant} service failed while it was captured: {result}.",
            advice="See whether the machine has memory and processors to spare, and run the demo again.",
            failures=result.failures,
        )
    return result


def _seed(moto: Moto, console: Console) -> None:
    with _progress(console) as progress:
        task = progress.add_task("orders into moto's DynamoDB", total=ORDERS)
        seed_tables(moto, ORDERS, lambda count: progress.advance(task, count))


def _first(findings: Findings) -> Finding:
    if not len(findings):
        raise SpecimenError(
            "The capture of the leaking service raised no finding; the demo has nothing to show.",
            advice="This should not happen: please report it, with the output of `forensics show` on the capture.",
        )
    return findings[0]


# -- what a person sees ---------------------------------------------------------------------------------------


def _tell_finding(finding: Finding, load: LoadResult, console: Console) -> None:
    source = finding.dynamodb
    rows = [
        ("held by", f"{finding.retainer.path} ({finding.retainer.kind})"),
        ("in", f"{finding.retainer.file}:{finding.retainer.line}"),
        ("fetched by", f"{source.operation} on table {source.table}" if source else "no DynamoDB call"),
        ("retained", f"{units.size(finding.retained_bytes)}{units.in_elements(finding.objects)}"),
        ("growth", growth_text(finding.growth)),
        ("what to do", finding.remediation.summary),
        ("load", str(load)),
    ]
    console.print()
    console.print(Text(f"{finding.severity}: {finding.title}", style="bold red"))
    for name, value in rows:
        console.print(Text(f"  {name:<11} {value}"), soft_wrap=True)
    console.print()


def _tell_verdict(result: DemoResult, console: Console) -> None:
    requests = sum(load.requests for load in result.loads)
    console.print()
    console.print(Text(str(result.verification)), soft_wrap=True)
    console.print(Text(f"load on the mended service: {result.loads[1]}"), soft_wrap=True)
    console.print(
        Text(f"{requests} requests in all, {result.failed_requests} failed; {result.seconds:.0f} seconds."),
        soft_wrap=True,
    )
    console.print()
    for path, what in (
        (result.report, "the report, to open in a browser"),
        (result.leaking, "the capture of the leaking service: forensics show, diff, chains, lab"),
        (result.mended, "the capture of the mended one"),
    ):
        console.print(Text(f"{path}  {what}"), soft_wrap=True)


class _LoadCount(ProgressColumn):
    """The load generator's count, read anew at each refresh."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self._load = load

    def render(self, task: Task) -> Text:
        failed = self._load.failed
        return Text(f"{self._load.requests} requests, {failed} failed", style="red" if failed else "green")


@contextlib.contextmanager
def _progress(console: Console, load: Load | None = None) -> Iterator[Progress]:
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(16)]
    if load:
        columns.append(_LoadCount(load))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        yield progress


def _shown_in(progress: Progress, task: Any) -> Callable[[str, float, float], None]:
    """Capture's progress callback: whole snapshots done, from stages named ``snapshot I of N``."""

    def show(stage: str, done: float, total: float) -> None:
        words = stage.split()
        if words[:1] == ["snapshot"] and words[1].isdigit():
            progress.update(task, completed=int(words[1]) - 0.5)

    return show


# -- leaving nothing behind -----------------------------------------------------------------------------------


@contextlib.contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """The output folder; what the demo wrote there goes again if it does not come to its end."""
    folder = Path(tempfile.mkdtemp(prefix="forensics-demo-")) if out is None else Path(out)
    existed = folder.exists()
    if existed and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(
            f"{folder} exists and is not an empty folder; the demo overwrites nothing.",
            advice="Choose another folder with --out, or remove that one first.",
            path=str(folder),
        )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BundleError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            advice="Choose a folder that you may write to with --out.",
            path=str(folder),
        ) from error
    try:
        yield folder.resolve()
    except BaseException:
        for name in ("leaking", "mended"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "report.html").unlink(missing_ok=True)
        if not existed or out is None:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM unwinds the stack as Ctrl-C does, so that everything started is stopped; exit code 143."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's business
        return

    def unwind(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
