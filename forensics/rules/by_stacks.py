"""L01 to L05 and L16 by allocation stacks, for captures that hold no object graph (Go, Rust, imported profiles).

A stack tells who allocated and not who holds: the finding names the application's own line that asked for the
memory, and says so. Two profiles tell growth; one alone is never more than medium.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from forensics.findings import DynamoDB, Finding, Growth, References, Remediation, Retainer, Severity
from forensics.profiles.diff import ERRORS
from forensics.profiles.frames import Room
from forensics.profiles.model import AllocationProfile, Frame, human_bytes
from forensics.profiles.naming import Place, operations_of, place_of_stack
from forensics.rules.evidence import Evidence

#: Growth between the first and the last profile below this, or within the sampling error, is none.
LEAST_BYTES = 1_000_000
LEAST_SHARE = 0.02
#: Without a second profile: this share of all live bytes is worth a look.
LARGE_SHARE = 0.2

_MAP_GROWS = re.compile(
    r"runtime\.(?:mapassign|growWork|hashGrow|makemap)|internal/runtime/maps\.|hashbrown::"
)
_RETRY = re.compile(r"aws-sdk-go-v2/aws/retry\.|aws_smithy_runtime::client::retries")


@dataclass(frozen=True)
class StackRule:
    """One pattern as stacks show it.

    ``pattern`` must match the function or file of a frame between the allocation and the application's own frame;
    where ``innermost`` is set, the first frame that is not the runtime's must match; where ``direct`` is set, the
    application itself called the runtime's frame that matches, and no library in between.
    """

    id: str
    title: str
    kind: str
    severity: Severity
    pattern: re.Pattern[str]
    remedies: dict[str, Remediation]
    references: References
    innermost: bool = False
    direct: bool = False
    runtimes: Sequence[str] = ("python", "go", "rust", "node")
    needs: tuple[str, ...] = ("profiles",)
    thresholds: str = (
        "live bytes that grew by 1 MB, 2 % and twice the sampling error; or 20 % of the live heap"
    )

    def fits(self, frames: Sequence[Frame], rooms: Sequence[Room]) -> bool:
        """Whether a stack (innermost first) shows the pattern."""
        own = next((k for k, room in enumerate(rooms) if room == Room.APPLICATION), len(frames))
        if self.direct:
            asked = list(range(own)) if all(room == Room.RUNTIME for room in rooms[:own]) else []
        else:
            asked = [k for k in range(own) if rooms[k] != Room.RUNTIME]
        asked = asked[:1] if self.innermost else asked
        return any(self.pattern.search(f"{frames[k].function} {frames[k].file}") for k in asked)


_CONSUMPTION = References(("API4:2023",), ("CWE-770",))
_EXPOSED = References(("API4:2023", "API3:2023"), ("CWE-770", "CWE-401"))

#: The more telling first: a session holds clients, a client is made before a call is.
STACK_RULES: tuple[StackRule, ...] = (
    StackRule(
        "L05",
        "a session or configuration is made for each request",
        "session",
        "critical",
        re.compile(
            r"botocore/loaders\.py|__init__ \S*boto(?:core|3)/session\.py|aws-sdk-go-v2/config\.|"
            r"^aws_config::|aws_runtime::env_config"
        ),
        {
            "python": Remediation("Share one session.", "import boto3\n\nSESSION = boto3.session.Session()\n"),
            "go": Remediation(
                "Load the configuration once, at start.", "cfg, err := config.LoadDefaultConfig(ctx)", "go"
            ),
            "rust": Remediation(
                "Load the configuration once, at start.",
                "let config = aws_config::load_defaults(BehaviorVersion::latest()).await;",
                "rust",
            ),
        },
        _CONSUMPTION,
        runtimes=("python", "go", "rust"),
    ),
    StackRule(
        "L04",
        "a client is made for each request",
        "client",
        "high",
        re.compile(
            # what makes a client, and not the client.py, factory.py and handlers that every call passes
            r"create_client \S*botocore/client\.py|botocore/args\.py|"
            r"(?:load_from_definition|_load_\w+) \S*boto3/resources/factory\.py|service/dynamodb\.New(?:FromConfig)?\b|"
            r"aws_sdk_dynamodb::client::Client::(?:new|from_conf)|aws_sdk_dynamodb::config::(?:Builder|Config)|"
            r"^(?:new )?(?:DynamoDBClient|DynamoDBDocumentClient|NodeHttpHandler) "
        ),
        {
            "python": Remediation("Make one client.", 'import boto3\n\nCLIENT = boto3.client("dynamodb")\n'),
            "go": Remediation("Make one client and share it.", "client := dynamodb.NewFromConfig(cfg)", "go"),
            "rust": Remediation(
                "Make one client; cloning it is cheap.", "let client = Client::new(&config);", "rust"
            ),
            "node": Remediation(
                "Make one client outside the handler.", "const client = new DynamoDBClient({});", "javascript"
            ),
        },
        _CONSUMPTION,
    ),
    StackRule(
        "L16",
        "retries keep what they failed with",
        "response",
        "medium",
        _RETRY,
        {
            "go": Remediation(
                "Bound attempts and time.",
                "ctx, cancel := context.WithTimeout(ctx, 2*time.Second)\ndefer cancel()",
                "go",
            ),
            "rust": Remediation(
                "Bound attempts and time.", "RetryConfig::standard().with_max_attempts(3)", "rust"
            ),
        },
        References(("API4:2023", "API8:2023"), ("CWE-770",)),
        innermost=True,
        runtimes=("go", "rust"),
    ),
    StackRule(
        "L02",
        "pages are accumulated",
        "page",
        "high",
        re.compile(r"botocore/paginate\.py|\(\*(?:Query|Scan)Paginator\)|::paginator::|paginate(?:Query|Scan)|createPaginator"),
        {
            "python": Remediation("Work page by page.", "for page in pages:\n    handle(page['Items'])\n"),
            "go": Remediation(
                "Work page by page.", "for p.HasMorePages() { page, err := p.NextPage(ctx); handle(page, err) }", "go"
            ),
            "rust": Remediation("Work page by page.", "while let Some(page) = pages.next().await {}", "rust"),
            "node": Remediation("Work page by page.", "for await (const page of pages) handle(page);", "javascript"),
        },
        _EXPOSED,
    ),
    StackRule(
        "L03",
        "a map grows without a bound",
        "items",
        "high",
        _MAP_GROWS,
        {
            "go": Remediation("Bound the map by number and age.", "cache, err := lru.New[string, Item](10_000)", "go"),
            "rust": Remediation(
                "Bound the map by number and age.",
                "let cache = moka::sync::Cache::builder().max_capacity(10_000).build();",
                "rust",
            ),
        },
        _EXPOSED,
        direct=True,
        runtimes=("go", "rust"),
    ),
)  # fmt: skip

#: What is left: DynamoDB's own data, of which neither paginator nor map is on the stack.
WHOLE_RESPONSE = StackRule(
    "L01",
    "whole responses are retained",
    "response",
    "high",
    re.compile(""),
    {
        "python": Remediation("Keep the fields that are needed, drop the response."),
        "go": Remediation(
            "Keep the fields that are needed, drop the output.", "ids = append(ids, out.ID)", "go"
        ),
        "rust": Remediation("Keep the fields that are needed, drop the output.", "", "rust"),
        "node": Remediation("Keep the fields that are needed, drop the response.", "", "javascript"),
    },
    _EXPOSED,
)


@dataclass
class _Site:
    place: Place
    rule: StackRule
    first: float = 0.0
    last: float = 0.0
    objects: int = 0
    stacks: set[int] = field(default_factory=set)


def by_stacks(evidence: Evidence) -> list[Finding]:
    """Findings out of the allocation profiles of a capture without object graphs; numbered by the caller."""
    profiles = [
        each for each in evidence.profiles if isinstance(each, AllocationProfile) and "live" in each.measures
    ]
    if not profiles or len(evidence.snapshots):
        return []
    first, last = profiles[0], profiles[-1]
    hints = operations_of(evidence.responses, evidence.sources)
    sites: dict[tuple[str, str], _Site] = {}
    for profile in [first, last] if len(profiles) > 1 else [last]:
        sizes, counts = profile.by_stack("live")
        for stack in np.flatnonzero(sizes):
            place = place_of_stack(profile, int(stack), hints)
            rule = _rule(profile, int(stack), place)
            if rule is None:
                continue
            site = sites.setdefault((rule.id, place.text), _Site(place, rule))
            if profile is last:
                site.last += float(sizes[stack])
                site.objects += int(counts[stack])
            else:
                site.first += float(sizes[stack])
    two = len(profiles) > 1
    found = [
        _finding(site, evidence, first, last, two)
        for site in sites.values()
        if _worth_it(site, first, last, two)
    ]
    return sorted(found, key=lambda each: -each.retained_bytes)


def _rule(profile: AllocationProfile, stack: int, place: Place) -> StackRule | None:
    frames = profile.stack(stack)
    span = slice(int(profile.stack_offsets[stack]), int(profile.stack_offsets[stack + 1]))
    rooms = [Room(int(profile.rooms[each])) for each in profile.stack_frames[span]]
    for rule in STACK_RULES:
        if profile.origin.runtime in rule.runtimes and rule.fits(frames, rooms):
            return rule
    return WHOLE_RESPONSE if place.dynamodb else None


def _worth_it(site: _Site, first: AllocationProfile, last: AllocationProfile, two: bool) -> bool:
    total = max(last.total("live"), 1)
    if not two:
        return site.last >= max(LARGE_SHARE * total, LEAST_BYTES) and site.rule.id != "L03"
    period = max(first.origin.sampling_period or 0, last.origin.sampling_period or 0)
    error = ERRORS * float(np.sqrt(period * (site.first + site.last)))
    return site.last - site.first > max(LEAST_BYTES, LEAST_SHARE * total, error)


def _finding(
    site: _Site, evidence: Evidence, first: AllocationProfile, last: AllocationProfile, two: bool
) -> Finding:
    seconds = (last.origin.start or 0.0) - (first.origin.start or 0.0) if two and first.origin.start else 0.0
    rate = (site.last - site.first) / seconds if seconds > 0 else None
    frame = site.place.frame
    share = site.last / max(last.total("live"), 1)
    words = f"{human_bytes(site.last)} live, {share:.0%} of the live heap"
    grew = f"grew from {human_bytes(site.first)} to {human_bytes(site.last)} between the first and the last profile"
    own = site.place.room == Room.APPLICATION
    return Finding(
        id="",
        rule=site.rule.id,
        title=f"{site.place.text} allocates {words} that {'grows' if two else 'stays'}: {site.rule.title}",
        severity=site.rule.severity if two else "medium",
        confidence=round((0.75 if two else 0.45) * (1.0 if own else 0.7), 2),
        runtime=last.origin.runtime,
        retainer=Retainer(
            path=site.place.text,
            kind="allocation-site",
            file=frame.file if frame and own else None,
            line=frame.line if frame and own and frame.line else None,
        ),
        retained_bytes=round(site.last),
        objects=site.objects,
        growth=Growth("growing" if two else "unknown", None if rate is None else round(rate, 1)),
        dynamodb=DynamoDB(site.rule.kind, site.place.operation, None, site.objects)
        if site.place.dynamodb
        else None,
        evidence=(
            *((grew,) if two else (words,)),
            "the stack says who allocated it, not who holds it: look for what this line's result is stored in",
            f"check: forensics show {evidence.name}",
        ),
        remediation=site.rule.remedies.get(last.origin.runtime, Remediation(site.rule.title)),
        references=site.rule.references,
    )
