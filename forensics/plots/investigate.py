"""Triage in one cell: series, two moments, what grew between them, who holds it, its chain, the finding."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from forensics import units
from forensics.escape import html_text, plain
from forensics.findings import Finding
from forensics.plots import chain_graph
from forensics.plots.charts import Bar, Line, bars_svg, lines_svg
from forensics.plots.palette import css_variables
from forensics.plots.series import place
from forensics.plots.widget import ReferenceGraph

__all__ = ["Investigation", "investigate"]

STYLE = (
    f"<style>.fx-triage{{{css_variables()}color-scheme:light dark;color:var(--fx-ink);line-height:1.5}}"
    "[data-jp-theme-light=false] .fx-triage{color-scheme:dark}"
    "[data-jp-theme-light=true] .fx-triage{color-scheme:light}"
    ".fx-triage h4{margin:10px 0 4px;font-size:15px;color:inherit}.fx-triage p{margin:2px 0}"
    ".fx-triage code{color:inherit;background:var(--fx-card);padding:1px 4px;border-radius:4px;overflow-wrap:anywhere}"
    ".fx-triage pre{color:inherit;background:var(--fx-card);border:1px solid var(--fx-line);border-radius:6px;"
    "padding:8px 12px;overflow-x:auto;margin:6px 0;white-space:pre;word-break:normal}"
    ".fx-triage .muted{color:var(--fx-muted)}</style>"
)


def investigate(capture: Any) -> Investigation:
    """The triage panel of a capture, for the last line of a notebook cell."""
    return Investigation(capture)


class Investigation(widgets.VBox):
    """Five steps, each following from the one above.

    Parameters
    ----------
    capture : what ``forensics.open`` gives; with one snapshot the diff is left out and holders are shown as
        they are
    """

    def __init__(self, capture: Any) -> None:
        self.capture = capture
        self.findings = capture.findings()
        last = len(capture.snapshots) - 1
        self.series = widgets.HTML()
        self.moments = widgets.IntRangeSlider(
            value=(0, max(last, 0)), min=0, max=max(last, 0), description="snapshots", continuous_update=False,
            layout=widgets.Layout(width="min(100%, 420px)"), disabled=last < 1,
        )  # fmt: skip
        self.grown = widgets.HTML()
        self.holder = widgets.Dropdown(description="holder", layout=widgets.Layout(width="min(100%, 760px)"))
        self.chain = widgets.VBox()
        self.finding = widgets.HTML()
        self._rows: dict[str, int] = {}
        self._all_chains: Any = None
        self.moments.observe(self._show_diff, "value")
        self.holder.observe(self._show_holder, "value")
        super().__init__(
            [
                _html(STYLE),
                self._step(1, "How memory moved"), self.series,
                self._step(2, "Choose two moments"), self.moments,
                self._step(3, "What grew between them"), self.grown,
                self._step(4, "Choose a holder and see its chain"), self.holder, self.chain,
                self._step(5, "What the rules say of it"), self.finding,
            ]
        )  # fmt: skip
        self._show_series()
        self._show_diff()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget's own form, and the panel as it stands for pages without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle["text/html"] = self.static()
        return bundle

    def static(self) -> str:
        """What the panel shows now, as HTML."""
        chain = [
            each.static() if isinstance(each, ReferenceGraph) else each.value for each in self.chain.children
        ]
        parts = [STYLE, self.series.value, self.grown.value, *chain, self.finding.value]
        return "".join(parts)

    @staticmethod
    def _step(number: int, title: str) -> widgets.HTML:
        return _html(f"<h4>{number} · {title}</h4>")

    def _show_series(self) -> None:
        capture, lines = self.capture, []
        process, times = capture.process, list(capture.times)
        starts = [
            *times[:1],
            *([float(process["time"].min())] if process is not None and len(process) else []),
        ]
        start = min(starts, default=0.0)
        if process is not None and len(process):
            since = [float(value) - start for value in process["time"]]
            lines.append(Line("resident set (RSS)", since, [float(value) for value in process["rss"]]))
        since = [time - start for time in times]
        heap = [float(graph.shallow_sizes[graph.reachable()].sum()) for graph in capture.snapshots]
        lines.append(Line("live heap", since, heap))
        self.series.value = _wrapped(lines_svg(lines, title="Memory over time", marks=since))

    def _show_diff(self, _: Any = None) -> None:
        first, second = self.moments.value
        rows = self._grown(first, second) if second > first else self._held(second)
        self._rows = dict(rows)
        what = "more" if second > first else "held"
        bars = [Bar(name, max(size, 0), what) for name, size in rows[:10]]
        title = f"What grew from snapshot {first} to {second}" if second > first else "What is held"
        self.grown.value = _wrapped(
            bars_svg(bars, title=title)
            if bars
            else '<p class="muted">Nothing grew between these moments.</p>'
        )
        self.holder.options = [
            (f"{plain(name, 90)} — {units.size(size)} {what}", name) for name, size in rows
        ]
        if rows:
            self.holder.value = rows[0][0]
        self._show_holder()

    def _grown(self, first: int, second: int) -> list[tuple[str, int]]:
        diff = self.capture.diff(between=(first, second))
        rows = [(place(each), int(each.bytes[-1]) - int(each.bytes[0])) for each in diff.holders]
        return sorted((row for row in rows if row[1] > 0), key=lambda row: -row[1])[:40]

    def _held(self, snapshot: int) -> list[tuple[str, int]]:
        if not len(self.capture.snapshots):
            return []
        found = self.capture.snapshots[snapshot].holders(limit=40)
        return [(place(each), int(each.retained_bytes)) for each in found]

    def _show_holder(self, _: Any = None) -> None:
        path = self.holder.value
        if path is None:
            self.chain.children, self.finding.value = (), ""
            return
        if self._all_chains is None:
            self._all_chains = self.capture.chains()
        finding = next((each for each in self.findings if each.retainer.path == path), None)
        chains = chain_graph.only_path(self._all_chains, path)
        if chains is None and finding is not None:
            chains = chain_graph.from_finding(finding)
        if chains is None:
            note = f"<p>No DynamoDB data hangs below <code>{html_text(path)}</code>.</p>"
            self.chain.children = (_html(note),)
        else:
            self.chain.children = (ReferenceGraph(chains, focus=path),)
        self.finding.value = _wrapped(told(finding))


def told(finding: Finding | None) -> str:
    """A finding in a few lines of HTML."""
    if finding is None:
        return '<p class="muted">No rule objects to this holder.</p>'
    held, retainer = finding.dynamodb, finding.retainer
    parts = [
        f"<p><b>{html_text(finding.severity)}</b> · {html_text(finding.rule)} · {html_text(finding.title)}</p>",
        f"<p><code>{html_text(retainer.path)}</code> keeps {units.size(finding.retained_bytes)}"
        + (f", at <code>{html_text(f'{retainer.file}:{retainer.line}')}</code>" if retainer.file else "")
        + "</p>",
    ]
    if held and (held.operation or held.table):
        call = f"{held.operation or 'a call'} on {held.table or 'an unknown table'}"
        parts.append(f"<p>Fetched by <code>{html_text(call)}</code></p>")
    parts += [f"<p>• {html_text(line)}</p>" for line in finding.evidence]
    parts.append(f"<p><b>What to change:</b> {html_text(finding.remediation.summary)}</p>")
    if finding.remediation.code:
        code = "\n".join(html_text(line) for line in finding.remediation.code.splitlines())
        parts.append(f"<pre>{code}</pre>")
    return "".join(parts)


def _wrapped(markup: str) -> str:
    return f'<div class="fx-triage" style="overflow-x:auto">{markup}</div>'


def _html(markup: str) -> widgets.HTML:
    return widgets.HTML(markup if markup.startswith("<style>") else _wrapped(markup))
