"""From the call to the place that keeps its data: operation and table on the left, holders on the right."""

from __future__ import annotations

import plotly.graph_objects as go

from forensics import units
from forensics.escape import hover
from forensics.findings import Finding, Findings
from forensics.plots.figure import style
from forensics.plots.palette import ROOMS, SEVERITY

__all__ = ["sankey"]


def sankey(findings: Findings, limit: int = 30) -> go.Figure:
    """The findings that hold DynamoDB data, as flows in MiB; more than ``limit`` are summed up by call."""
    held = sorted((each for each in findings if each.dynamodb), key=lambda each: -each.retained_bytes)
    flows: dict[tuple[str, str], list[Finding]] = {}
    for index, finding in enumerate(held):
        target = finding.retainer.path if index < limit else "smaller holders"
        flows.setdefault((_call(finding), target), []).append(finding)
    calls = list(dict.fromkeys(call for call, _ in flows))
    places = list(dict.fromkeys(target for _, target in flows))
    worst = {target: group[0].severity for (_, target), group in reversed(flows.items())}
    told = []
    for (call, target), group in flows.items():
        total, elements = sum(each.retained_bytes for each in group), sum(each.objects for each in group)
        told.append(
            f"{hover(target, 160)} keeps {units.size(total)} in {units.count(elements, 'element')},"
            f"<br>fetched by {hover(call)}."
        )
    figure = go.Figure(
        go.Sankey(
            arrangement="snap",
            valueformat=".2f",
            valuesuffix=" MiB",
            node={
                "label": [hover(name, 60) for name in [*calls, *places]],
                "color": [ROOMS["dynamodb"].light] * len(calls)
                + [SEVERITY[worst[each]].light for each in places],
                "pad": 18,
                "thickness": 16,
                "line": {"width": 0},
                "hovertemplate": "%{label}: %{value:.2f} MiB<extra></extra>",
            },
            link={
                "source": [calls.index(call) for call, _ in flows],
                "target": [len(calls) + places.index(target) for _, target in flows],
                "value": [units.mib(sum(each.retained_bytes for each in group)) for group in flows.values()],
                "color": "rgba(127,137,152,0.35)",
                "customdata": told,
                "hovertemplate": "%{customdata}<extra></extra>",
            },
        )
    )
    if not flows:
        figure.add_annotation(text="No finding holds DynamoDB data.", showarrow=False)
    return style(
        figure,
        "Which call fetched what is held (MiB)",
        height=max(260, 90 + 46 * max(len(places), len(calls))),
    )


def _call(finding: Finding) -> str:
    held = finding.dynamodb
    if held is None or not (held.operation or held.table):
        return "call unknown"
    return f"{held.operation or 'call unknown'} on {held.table}" if held.table else str(held.operation)
