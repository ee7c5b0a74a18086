"""From the call to the place that keeps its data: operation and table on the left, holders on the right."""

from __future__ import annotations

import plotly.graph_objects as go

from forensics import units
from forensics.escape import hover
from forensics.findings import Finding, Findings
from forensics.plots.figure import style
from forensics.plots.palette import ROOMS, SEVERITY

__all__ = ["sankey"]

#: Dark enough for the white names that stand upon it, in both themes; beside a thin flow they have a halo.
LINK = "#667085"
HALO = ", ".join(["0 0 3px #1a202c"] * 3)


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
        total = sum(each.retained_bytes for each in group)
        known = [each.objects for each in group if each.objects is not None]
        elements = units.in_elements(sum(known) if len(known) == len(group) else None)
        told.append(f"{hover(target, 160)} keeps {units.size(total)}{elements},<br>fetched by {hover(call)}.")
    figure = go.Figure(
        go.Sankey(
            arrangement="snap",
            textfont={"size": 13, "color": "#ffffff", "shadow": HALO},
            valueformat=".2f",
            valuesuffix=" MiB",
            node={
                "label": [_two_lines(name) for name in [*calls, *places]],
                "color": [ROOMS["dynamodb"].light] * len(calls)
                + [SEVERITY[worst[each]].light for each in places],
                "pad": 18,
                "thickness": 16,
                "line": {"width": 0},
                "customdata": [hover(name, 160) for name in [*calls, *places]],
                "hovertemplate": "%{customdata}: %{value:.2f} MiB<extra></extra>",
            },
            link={
                "source": [calls.index(call) for call, _ in flows],
                "target": [len(calls) + places.index(target) for _, target in flows],
                "value": [units.mib(sum(each.retained_bytes for each in group)) for group in flows.values()],
                "color": LINK,
                "customdata": told,
                "hovertemplate": "%{customdata}<extra></extra>",
            },
        )
    )
    if not flows:
        figure.add_annotation(text="No finding holds DynamoDB data.", showarrow=False)
    style(
        figure, "From the call to the holder (MiB)", height=max(240, 90 + 46 * max(len(places), len(calls)))
    )
    return figure.update_layout(margin={"l": 4, "r": 4, "b": 16})


def _two_lines(name: str) -> str:
    """A name in two lines where it has a joint: names of both ends fit beside each other on a phone."""
    for joint in (" on ", "."):
        head, found, tail = name.rpartition(joint)
        if found and len(name) > 12:
            return f"{hover(head + joint.rstrip(' on'), 60)}<br>{hover(joint.strip('. ') + ' ' + tail, 60).strip()}"
    return hover(name, 60)


def _call(finding: Finding) -> str:
    held = finding.dynamodb
    if held is None or not (held.operation or held.table):
        return "call unknown"
    return f"{held.operation or 'call unknown'} on {held.table}" if held.table else str(held.operation)
