"""A capture drawn by hand, for tests of what is shown: a leaking dict, and text that means harm.

roots ── module orders.api ── RESPONSES ── 400 × response ── Items ── item
     └── frame fetch_all() pages ───────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.findings import DynamoDB, Finding, Findings, Growth, References, Remediation, Retainer

MIB = 1 << 20

#: Each would do harm in one medium: HTML, attribute, SVG, terminal, right-to-left, TeX, Markdown, spreadsheet, path.
HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=1">',
    "</svg><svg onload=window.hacked=1>",
    "\x1b]0;owned\x07\x1b[31mred",
    "safe\u202egnp.exe",
    "$\\href{javascript:window.hacked=1}{x}$",
    "[click](javascript:window.hacked=1) ![x](http://outside.example/x.png)",
    '=HYPERLINK("http://outside.example";"x")',
    "../../etc/passwd\x00",
    "{{ 7*7 }} ${7*7} %{customdata}",
)


@dataclass(frozen=True)
class HandmadeGraph:
    """Only what a report asks of a snapshot."""

    shallow_sizes: np.ndarray

    def reachable(self) -> np.ndarray:
        return np.ones(len(self.shallow_sizes), dtype=bool)


@dataclass(frozen=True)
class HandmadeSeries:
    path: str
    bytes: list[int]


@dataclass(frozen=True)
class HandmadeDiff:
    holders: list[HandmadeSeries]


def chains(*, hostile: bool = False) -> ReferenceChains:
    key = HOSTILE[0] if hostile else "key"
    examples = HOSTILE if hostile else ("RESPONSES['status=open&page=3']",)
    nodes = (
        ChainNode(0, "roots", "root", 1, 50 * MIB),
        ChainNode(1, "module orders.api", "application", 1, 44 * MIB, "orders.api", "orders/api.py", 1),
        ChainNode(
            2, "orders.api.RESPONSES", "application", 1, 40 * MIB, "orders.api.RESPONSES", "orders/api.py", 12
        ),
        ChainNode(
            3,
            "Query response on Orders",
            "dynamodb",
            400,
            40 * MIB,
            "orders.api.RESPONSES[…]",
            examples=examples,
        ),
        ChainNode(4, "Items list", "dynamodb", 400, 38 * MIB, "orders.api.RESPONSES[…]['Items']"),
        ChainNode(5, HOSTILE[1] if hostile else "item", "dynamodb", 10_000, 37 * MIB),
        ChainNode(6, "Thread-3 · fetch_all() local pages at orders/db.py:41", "application", 1, 5 * MIB),
        ChainNode(7, "FastAPI app.state", "framework", 1, 2 * MIB, "app.state"),
        ChainNode(8, "botocore.client.DynamoDB", "sdk", 1, MIB, "orders.db.client"),
    )
    edges = (
        ChainEdge(0, 1, "module", 1, 44 * MIB),
        ChainEdge(1, 2, "RESPONSES", 1, 40 * MIB),
        ChainEdge(2, 3, key, 400, 40 * MIB),
        ChainEdge(3, 4, "Items", 400, 38 * MIB),
        ChainEdge(4, 5, "item", 10_000, 37 * MIB),
        ChainEdge(0, 6, "frame local", 1, 5 * MIB),
        ChainEdge(6, 4, "item", 3, MIB),
        ChainEdge(0, 7, "state", 1, 2 * MIB),
        ChainEdge(7, 8, "client", 1, MIB),
    )
    return ReferenceChains(nodes, edges, folded=12)


def findings(*, hostile: bool = False) -> Findings:
    leak = Finding(
        id="F1",
        rule="L03",
        title="Unbounded cache of whole DynamoDB responses in orders.api.RESPONSES",
        severity="critical",
        confidence=0.97,
        runtime="python",
        retainer=Retainer(
            "orders.api.RESPONSES",
            "module-variable",
            ("roots", "module orders.api", "RESPONSES"),
            "orders/api.py",
            12,
            ("orders.audit.LAST",),
        ),
        retained_bytes=40 * MIB,
        objects=400,
        growth=Growth("growing", 1.4 * MIB, 13.3, 412.0),
        dynamodb=DynamoDB("response", "Query", "Orders", 400),
        evidence=(
            "400 responses are held, 133 in the first snapshot",
            "the dictionary was filled at orders/api.py:31",
            *(HOSTILE if hostile else ()),
        ),
        remediation=Remediation(
            "Keep only the fields the route needs, in a cache with a maximum size and a time to live",
            "RESPONSES = TTLCache(maxsize=512, ttl=60)\n\n"
            'if "Items" in page:\n    RESPONSES[key] = [slim(i) for i in page["Items"]]',
        ),
        references=References(("API4:2023", "API3:2023"), ("CWE-401", "CWE-770")),
    )
    if not hostile:
        return Findings("demo", 3, (leak,))
    planted = tuple(
        Finding(
            id=f"F{number}",
            rule="L01",
            title=text,
            severity="high",
            confidence=0.5,
            runtime="python",
            retainer=Retainer(text, "module-variable", ("roots", text), text, 1, (text,)),
            retained_bytes=MIB,
            objects=3,
            dynamodb=DynamoDB("item", text, text, 3),
            remediation=Remediation(text, f"{text}\n```\n# {text}"),
        )
        for number, text in enumerate(HOSTILE, 2)
    )
    return Findings(HOSTILE[0], 3, (leak, *planted))


@dataclass(frozen=True)
class HandmadeCapture:
    """A ``Reportable``."""

    hostile: bool = False
    manifest: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        facts = {
            "runtime": "python",
            "runtime_version": "3.11.7",
            "pid": 4242,
            "taken_at": 1_795_000_000.0,
            "command_line": list(HOSTILE) if self.hostile else ["python", "-m", "uvicorn", "orders.api:app"],
            "values": "masked",
            "secrets": {"e-mail address": 212, "card number": 3},
            "cost": {"pause_seconds": 0.004, "memory_bytes": 3_145_728},
            "files": {"snapshots/000/objects.arrow": {"sha256": "ab" * 32, "bytes": 123_456}},
        }
        object.__setattr__(self, "manifest", {**facts, **self.manifest})

    @property
    def snapshots(self) -> list[HandmadeGraph]:
        return [HandmadeGraph(np.full(1000 * each, 16_000)) for each in (1, 2, 3)]

    @property
    def times(self) -> list[float]:
        return [1_795_000_002.0, 1_795_000_010.0, 1_795_000_018.0]

    @property
    def process(self) -> pd.DataFrame:
        time = 1_795_000_000.0 + np.arange(20)
        return pd.DataFrame({"time": time, "rss": 90 * MIB + np.arange(20) * 2 * MIB})

    def findings(self) -> Findings:
        return findings(hostile=self.hostile)

    def chains(self) -> ReferenceChains:
        return chains(hostile=self.hostile)

    def diff(self) -> HandmadeDiff:
        series = [HandmadeSeries("orders.api.RESPONSES", [14 * MIB, 27 * MIB, 40 * MIB])]
        if self.hostile:
            series.append(HandmadeSeries(HOSTILE[1], [MIB, 2 * MIB, 3 * MIB]))
        return HandmadeDiff(series)
