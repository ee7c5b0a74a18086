"""The command line: one thin command for each verb, over the public functions of the same names.

Exit codes: 0 done, 1 a finding at or above --fail-on (or verify says not fixed), 2 wrong usage, 3 it could not be
done; then the message says what was tried, what was found and what to do.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from typer.core import TyperCommand

import forensics as fx
from forensics.capture.yielding import yielding
from forensics.errors import ForensicsError, is_interrupt
from forensics.findings import SEVERITIES
from forensics.tables import fold_lines

app = typer.Typer(
    name="forensics",
    help="Memory forensics for services that use DynamoDB: capture a live process, find who holds which response, "
    "prove the fix.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_out = Console()
_err = Console(stderr=True)

CaptureFolder = Annotated[
    Path, typer.Argument(metavar="CAPTURE", help="Folder of a capture.", show_default=False)
]
Snapshot = Annotated[int, typer.Option(metavar="N", help="Which snapshot, from 0; -1 is the last.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Run the command line; never shows a traceback for what could not be done."""
    try:
        app(prog_name="forensics")
    except ForensicsError as error:
        _err.print(f"[bold red]error:[/] {escape(_safe(error.message))}", highlight=False)
        if error.advice:
            _err.print(escape(_safe(error.advice)), highlight=False)
        sys.exit(3)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "forensics":
            raise
        # An editable installation whose source has moved on.
        _err.print(f"[bold red]error:[/] {escape(str(error.name))} is not installed.", highlight=False)
        _err.print(
            "Install this version's dependencies: `pip install .` in the clone; make does so by itself.",
            highlight=False,
        )
        sys.exit(3)
    except (KeyboardInterrupt, SystemError) as error:
        if not is_interrupt(error):
            raise
        _err.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away; what could be said was said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


# -- verbs -------------------------------------------------------------------------------------------------------


@app.command()
def demo(
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for leaking/, mended/ and report.html.")
    ] = None,
) -> None:
    """The whole story on a real service, in one to two minutes, with no account and no network."""
    fx.demo(out)


@app.command()
def targets(as_json: AsJson = False) -> None:
    """What is running here that can be captured, and how."""
    _say(fx.targets(), as_json)


@app.command()
def capture(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="PID, or URL of a pprof endpoint.", show_default=False),
    ],
    to: Annotated[Path | None, typer.Option("--to", help="Folder to make; default capture-PID-TIME.")] = None,
    snapshots: Annotated[int, typer.Option(min=0, help="How many object graphs, or profiles, to take.")] = 1,
    every: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="From the end of one snapshot to the next.")
    ] = 5.0,
    watch: Annotated[
        float, typer.Option(min=0.0, metavar="SECONDS", help="Sample the process's counters for so long.")
    ] = 0.0,
    allocations: Annotated[
        float,
        typer.Option(
            min=0.0, metavar="SECONDS", help="Record allocations for so long: memray, or a Go service's own."
        ),
    ] = 0.0,
    when: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Snapshot when 'rss > 80%' or 'growth > 1MB/min for 5m' happens; a first one at the start, then at "
            "most one a minute. Of: rss, pss, uss, cgroup, heap (malloc's and Python's own), free (held by malloc, "
            "unused), growth, threads, descriptors, sockets.",
        ),
    ] = None,
    requests: Annotated[
        str | None,
        typer.Option(
            metavar="URL#NAME",
            help="A counter of requests on a page of Prometheus metrics, such as "
            "http://127.0.0.1:8000/metrics#http_requests_total: growth is told in bytes a request as well.",
        ),
    ] = None,
    values: Annotated[str, typer.Option(help="masked, full or none: what leaves of the values.")] = "masked",
    via: Annotated[str, typer.Option(help="The way in; `forensics targets` lists them.")] = "auto",
    walker: Annotated[str, typer.Option(help="auto, native or python.")] = "auto",
    workers: Annotated[
        bool, typer.Option("--workers", help="Capture all workers of this master process.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Walk in the process itself, which stands still meanwhile.")
    ] = False,
    census: Annotated[
        bool,
        typer.Option("--census", help="Node: rank large containers in small steps instead of snapshots."),
    ] = False,
    chains: Annotated[
        bool,
        typer.Option(
            "--chains", help="Go: walk the references with grf; the process stands still meanwhile."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would cost, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take evidence out of a running service into a new folder."""
    if dry_run:
        _say(fx.plan(target, via=via, walker=walker, snapshots=snapshots, in_place=in_place), as_json)
        return
    if chains:
        _err.print(_safe(_foretold(fx.plan(target, snapshots=snapshots))), highlight=False, markup=False)
    with yielding():
        with _progress() as progress:
            folders = fx.capture(
                target,
                to=to,
                snapshots=snapshots,
                every=every,
                watch=watch,
                allocations=allocations,
                when=tuple(when or ()),
                requests=requests,
                values=values,
                via=via,
                walker=walker,
                workers=workers,
                in_place=in_place,
                census=census,
                chains=chains,
                progress=progress,
            )
        for folder in folders if isinstance(folders, list) else [folders]:
            _say(fx.open(folder), as_json)


class _ListingLoaders(TyperCommand):
    """Its help ends with the kinds of files that are registered; they are asked for only when it is shown."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from forensics.formats.registry import loaders

        with formatter.section("Kinds of files"):
            formatter.write_dl(
                [(each.name, f"{each.writes} ({', '.join(each.suffixes)})") for each in loaders()]
            )


@app.command("import", cls=_ListingLoaders)
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…", help="Files of the kinds below, told by their content.", show_default=False
        ),
    ],
    to: Annotated[Path, typer.Option("--to", help="Folder to make.")],
    as_json: AsJson = False,
) -> None:
    """Make a capture of files that other tools wrote."""
    _say(fx.open(fx.import_files(files, to)), as_json)


@app.command()
def show(
    capture: CaptureFolder,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many rows of each table.")] = 10,
) -> None:
    """What is in a capture: top types, holders, DynamoDB objects."""
    opened = fx.show(capture)
    if as_json:
        found = {name: _records(each) for name, each in opened.highlights(limit)}
        growth = opened.growth and opened.growth.to_dict()
        _json({"manifest": opened.manifest, "growth": growth, **found})
        return
    _print(fold_lines(str(opened)))
    for _, highlight in opened.highlights(limit):
        _print(f"\n{highlight}")


@app.command()
def diff(
    capture: CaptureFolder,
    other: Annotated[Path | None, typer.Argument(metavar="[CAPTURE]", help="A second capture.")] = None,
    between: Annotated[
        tuple[int, int] | None, typer.Option(metavar="I J", help="Two snapshots, from 0.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What grew, between snapshots of one capture or between two captures."""
    _say(fx.diff(capture, other, between=between), as_json)


@app.command()
def chains(
    capture: CaptureFolder,
    to: Annotated[
        str | None, typer.Option("--to", help="Only chains to this kind: response, item, client …")
    ] = None,
    snapshot: Snapshot = -1,
    dot: Annotated[bool, typer.Option("--dot", help="Print Graphviz DOT.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reference chains from roots to DynamoDB responses."""
    found = fx.chains(capture, snapshot, to=to)
    if dot:
        _print(found.to_dot())
    else:
        _say(found, as_json)


@app.command()
def findings(
    capture: CaptureFolder,
    as_json: AsJson = False,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", metavar="LEVEL", help="Exit 1 if any is at least this severe.")
    ] = None,
) -> None:
    """Judge a capture: which leak it is, who holds it, which call fetched it, how to mend it."""
    if fail_on is not None and fail_on not in SEVERITIES:
        raise typer.BadParameter(f"{fail_on!r} is none of {', '.join(SEVERITIES)}", param_hint="--fail-on")
    judged = fx.findings(capture)
    if as_json:
        _print(judged.to_json())
    else:
        _print(fold_lines(str(judged)))
    if fail_on is not None and judged.at_least(fail_on):  # type: ignore[arg-type]
        raise typer.Exit(1)


@app.command()
def verify(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", show_default=False)],
    after: Annotated[Path, typer.Argument(metavar="AFTER", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Did the fix work: numbers and a verdict; exit 1 if not."""
    verification = fx.verify(before, after)
    if as_json:
        _json(verification.to_dict())
    else:
        _print(fold_lines(str(verification)))
    if not verification.fixed:
        raise typer.Exit(1)


@app.command()
def report(
    capture: CaptureFolder,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write; - is standard output.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="html, md, json or sarif; default by the file's suffix.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is no report of ours.")] = False,
) -> None:
    """Write the findings report."""
    suffix = out.suffix.lstrip(".") if out is not None else ""
    chosen = format or {"markdown": "md", "htm": "html"}.get(suffix, suffix) or "html"
    if out == Path("-"):
        from forensics.report import render

        sys.stdout.write(render(fx.open(capture), chosen).rstrip("\n") + "\n")
        return
    _print(str(fx.report(capture, out, chosen, force=force)))


@app.command()
def sql(
    capture: CaptureFolder,
    query: Annotated[str, typer.Argument(metavar="QUERY", help='"SELECT …" over objects, edges and roots.')],
    snapshot: Snapshot = -1,
    as_json: AsJson = False,
) -> None:
    """Ask a snapshot in SQL; read-only."""
    _say(fx.sql(capture, query, snapshot), as_json)


@app.command()
def lab(
    capture: Annotated[
        Path | None, typer.Argument(metavar="[CAPTURE]", help="The capture the notebooks open.")
    ] = None,
) -> None:
    """JupyterLab on the investigation notebooks, the capture chosen.

    The notebooks are copied into ./forensics-notebooks; one that you changed there is never overwritten.
    """
    status = fx.lab(capture)
    if status:
        raise ForensicsError(
            f"JupyterLab ended with an error (exit status {status}).",
            advice="What it said last is above; the copied notebooks are in ./forensics-notebooks.",
            status=status,
        )


@app.callback(invoke_without_command=True)
def _before(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        _print(f"forensics {fx.__version__}")
        raise typer.Exit()
    if context.invoked_subcommand != "lab":  # its notebooks are not ours alone
        # Before numpy is imported, whose threads would spin beside the service for a while; none of ours needs them.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _foretold(plan: Any) -> str:
    """What --chains is going to do to the process, said before it is done."""
    return f"--chains: {getattr(plan, 'chains', 'for Go processes only')}."


# -- saying it -----------------------------------------------------------------------------------------------------


def _say(result: Any, as_json: bool) -> None:
    """Print a result: its JSON form, or its text repr."""
    if not as_json:
        _print(_text(result))
    elif hasattr(result, "to_dict") and not hasattr(result, "to_string"):
        _json(result.to_dict())
    elif hasattr(result, "manifest"):
        growth = result.growth and result.growth.to_dict()
        _json({"folder": str(result.folder), **result.manifest, "growth": growth})
    else:
        _json(_records(result))


def _text(result: Any) -> str:
    if hasattr(result, "to_string"):
        return str(result.to_string(index=False))
    # Tables keep to the terminal's width by themselves, and a tree's lines are not broken.
    return fold_lines(str(result)) if isinstance(result, fx.Capture) else str(result)


def _records(result: Any) -> Any:
    table = result.to_pandas() if hasattr(result, "to_pandas") else result
    return json.loads(table.to_json(orient="records"))


def _json(record: Any) -> None:
    sys.stdout.write(json.dumps(record, indent=2, ensure_ascii=False, default=str) + "\n")


def _print(text: str) -> None:
    """Print text that may come out of a heap: no markup, no terminal escapes."""
    sys.stdout.write(_safe(text) + "\n")


@contextmanager
def _progress() -> Iterator[Any]:
    """A progress bar on the error stream, only where a person watches."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(
        *columns, TimeElapsedColumn(), console=_err, transient=True, disable=not _err.is_terminal
    ) as bar:
        task = bar.add_task("looking", total=None, said="")

        def progress(stage: str, done: float, total: float) -> None:
            said = f"{done:,.0f}" if not total else f"{done:,.0f} of {total:,.0f}"
            bar.update(task, description=stage, completed=done, total=total or None, said=said)

        yield progress


def _safe(text: str) -> str:
    from forensics.escape import plain

    return "\n".join(plain(line) for line in text.split("\n"))


if __name__ == "__main__":
    main()
