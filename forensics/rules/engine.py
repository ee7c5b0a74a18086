"""judge(evidence): suspects, guards and rules together; ranked findings, one for each cause."""

from __future__ import annotations

from collections.abc import Sequence

from forensics.dynamodb.ownership import closure_of
from forensics.dynamodb.vocabulary import FINDING_KIND, SDK_OBJECTS, Kind
from forensics.findings import (
    SEVERITIES,
    DynamoDB,
    Finding,
    Findings,
    Growth,
    References,
    Retainer,
)
from forensics.heap.javascript import is_node
from forensics.rules.allocated import allocated_lines
from forensics.rules.by_handlers import applies, by_handlers
from forensics.rules.by_stacks import by_stacks
from forensics.rules.captured import captured_lines, captured_remedy
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Excuse, Guard, Rule, article
from forensics.rules.severity import LARGE_SHARE, seconds_to_limit, severity_of, share_of_heap
from forensics.rules.suspect import Suspect
from forensics.rules.suspects import suspects

#: An excused holder is worth a line in the findings from this many bytes, or this share of the heap, on.
NOTABLE_BYTES = 1_000_000
NOTABLE_SHARE = 0.05
#: What calls in flight hold comes and goes; holders of that kind must grow by this many elements.
IN_FLIGHT = 10
_PASSING = ("frame-local", "task", "generator", "native")
_NOUN = {
    Kind.RESPONSE: "response",
    Kind.METADATA: "response metadata",
    Kind.ITEMS: "items list",
    Kind.ITEM: "item",
    Kind.RESOURCE_ITEM: "item",
    Kind.ATTRIBUTE_VALUE: "attribute value",
    Kind.BINARY: "binary value",
    Kind.TOKEN: "page token",
    Kind.REQUEST: "set of request parameters",
    Kind.STREAM_RECORD: "stream record",
    Kind.COPY: "copy of an item",
    Kind.RAW_BODY: "raw HTTP response",
    Kind.PAGINATOR: "paginator",
    Kind.PAGE_ITERATOR: "page iterator",
    Kind.CLIENT: "client",
    Kind.RESOURCE: "resource",
    Kind.TABLE: "Table object",
    Kind.SESSION: "session",
    Kind.HTTP_SESSION: "HTTP session",
    Kind.DECIMAL: "number",
}


def judge(
    evidence: Evidence,
    rules: Sequence[Rule] | None = None,
    guards: Sequence[Guard] | None = None,
    *,
    seen: Sequence[Suspect] | None = None,
) -> Findings:
    """Judge one capture.

    Parameters
    ----------
    evidence : the capture
    rules, guards : those to ask; by default all of ``forensics.rules``
    seen : the ``suspects`` of this evidence, where the caller has them already

    Returns
    -------
    Findings, worst first; holders that are excused are of severity ``info``.
    """
    from forensics.rules import GUARDS, RULES

    asked = [rule for rule in (RULES if rules is None else rules) if _applies(rule, evidence)]
    excusing = [guard for guard in (GUARDS if guards is None else guards) if _applies(guard, evidence)]
    found: list[Finding] = []
    seen = suspects(evidence) if seen is None else seen
    for suspect in seen:
        finding = _judge_one(suspect, evidence, asked, excusing)
        if finding is not None:
            found.append(finding)
    if rules is None:
        found += by_handlers(evidence) if applies(evidence) else by_stacks(evidence)
    found += [
        _process_finding(excuse, evidence)
        for guard in excusing
        if (excuse := guard.explain(evidence, seen)) is not None and not _worse_than_info(found)
    ]
    found.sort(key=_rank)
    numbered = [_numbered(finding, position) for position, finding in enumerate(found, 1)]
    judged_by = "profile" if evidence.profiles and not len(evidence.snapshots) else "snapshot"
    moments = len(evidence.snapshots) or len(evidence.profiles)
    return Findings(evidence.name, moments, tuple(numbered), judged_by)


def _applies(rule: Rule | Guard, evidence: Evidence) -> bool:
    """Whether the evidence has what the rule needs; ``process`` and ``responses`` only add to what it says."""
    have = {"snapshots": len(evidence.snapshots) > 0, "two snapshots": len(evidence.snapshots) > 1}
    have["profiles"] = bool(evidence.profiles)
    return evidence.runtime in rule.runtimes and all(have.get(need, True) for need in rule.needs)


def _worse_than_info(found: Sequence[Finding]) -> bool:
    return any(finding.severity != "info" for finding in found)


def _rank(finding: Finding) -> tuple[int, float, int]:
    rate = finding.growth.bytes_per_second or 0.0
    return SEVERITIES.index(finding.severity), -rate, -finding.retained_bytes


def _numbered(finding: Finding, position: int) -> Finding:
    import dataclasses

    return dataclasses.replace(finding, id=f"F{position}")


def _judge_one(
    suspect: Suspect, evidence: Evidence, rules: Sequence[Rule], guards: Sequence[Guard]
) -> Finding | None:
    for guard in guards:
        excuse = guard.excuse(suspect, evidence)
        if excuse is not None:
            return _excused(suspect, evidence, excuse) if _notable(suspect, evidence) else None
    if not _worth_it(suspect, evidence):
        return None
    claims = [claim for rule in rules if (claim := rule.look(suspect, evidence)) is not None]
    claims.sort(key=lambda claim: -claim.weight)
    if not claims:
        return None
    return _finding(suspect, evidence, claims)


def _notable(suspect: Suspect, evidence: Evidence) -> bool:
    """Whether an excused suspect deserves a line: DynamoDB data of some weight, never the one client of a service."""
    if not suspect.is_dynamodb or suspect.dynamo_kind in SDK_OBJECTS or suspect.kind in _PASSING:
        return False
    return suspect.retained_bytes >= NOTABLE_BYTES or share_of_heap(suspect, evidence) >= NOTABLE_SHARE


def _worth_it(suspect: Suspect, evidence: Evidence) -> bool:
    """Above the noise: two elements more from first to last, ten for what calls in flight hold.

    What came with the last snapshot alone may be a call in flight just then, however much it holds.
    """
    if suspect.shape == "unknown":
        pile = suspect.dynamo_kind in SDK_OBJECTS and suspect.elements[-1] >= 3
        return pile or (suspect.is_dynamodb and share_of_heap(suspect, evidence) >= LARGE_SHARE)
    more = suspect.elements[-1] - suspect.elements[0]
    in_flight = suspect.kind in _PASSING or (evidence.runtime == "node" and _in_a_library(suspect.path))
    if in_flight and not suspect.unreachable:
        only_now = len(suspect.elements) > 2 and max(suspect.elements[:-1]) <= suspect.elements[0]
        return more >= IN_FLIGHT and not only_now
    return more >= 2 or (suspect.in_itself and suspect.sizes[-1] - suspect.sizes[0] > 64_000)


def _in_a_library(path: str) -> bool:
    """Whether a path of JavaScript leads through no variable of the program itself: what calls in flight look like."""
    return path.startswith(("node:", "(root)")) or "(node:" in path or "/node_modules/" in path


# -- from a suspect to a finding --------------------------------------------------------------------------------


def _finding(suspect: Suspect, evidence: Evidence, claims: Sequence[Claim]) -> Finding:
    main = claims[0]
    certainty = {0: 0.6, 1: 0.6, 2: 0.85}.get(len(evidence.snapshots), 1.0)
    if not suspect.growing:
        certainty = 0.6
    base = min(
        (claim.severity for claim in claims if claim.weight >= 10 or claim is main), key=SEVERITIES.index
    )
    return Finding(
        id="",
        rule=main.rule.id,
        title=_title(suspect, main),
        severity=severity_of(base if suspect.is_dynamodb else main.severity, suspect, evidence),
        confidence=round(min(0.99, max(0.05, main.confidence * certainty)), 2),
        runtime=evidence.runtime,
        retainer=_retainer(suspect),
        retained_bytes=suspect.retained_bytes,
        objects=suspect.elements[-1],
        growth=_growth(suspect, evidence),
        dynamodb=_dynamodb(suspect),
        evidence=_evidence(suspect, evidence, claims),
        remediation=captured_remedy(suspect, evidence) or main.rule.remedy(evidence.runtime),
        references=_references(claims),
    )


def _excused(suspect: Suspect, evidence: Evidence, excuse: Excuse) -> Finding:
    return Finding(
        id="",
        rule=excuse.guard.id,
        title=f"{suspect.path} holds {_what(suspect)}: {excuse.reason}",
        severity="info",
        confidence=round(0.9 * max(suspect.confidence, 0.5), 2),
        runtime=evidence.runtime,
        retainer=_retainer(suspect),
        retained_bytes=suspect.retained_bytes,
        objects=suspect.elements[-1],
        growth=_growth(suspect, evidence),
        dynamodb=_dynamodb(suspect),
        evidence=(*excuse.evidence, _command(suspect, evidence)),
        remediation=excuse.guard.remedy(evidence.runtime),
        references=excuse.guard.references,
    )


def _process_finding(excuse: Excuse, evidence: Evidence) -> Finding:
    """What a guard says of the process as a whole."""
    return Finding(
        id="",
        rule=excuse.guard.id,
        title=f"{excuse.guard.title}: {excuse.reason}",
        severity="info",
        confidence=0.8,
        runtime=evidence.runtime,
        retainer=Retainer(path="the process as a whole", kind="native"),
        retained_bytes=0,
        objects=None,
        evidence=(*excuse.evidence, evidence.command("show")),
        remediation=excuse.guard.remedy(evidence.runtime),
        references=excuse.guard.references,
    )


def _what(suspect: Suspect) -> str:
    """``213 Query responses of Orders``."""
    origin = suspect.provenance
    if not suspect.is_dynamodb:
        return article(suspect.elements[-1], "element")
    noun = _NOUN[suspect.dynamo_kind]
    if noun.startswith("copy"):
        noun = "copy of items" if suspect.elements[-1] == 1 else "copies of items"
        said = f"{suspect.elements[-1]:,} {noun}"
    else:
        lead = f"{origin.operation} " if origin.operation and suspect.dynamo_kind not in SDK_OBJECTS else ""
        said = article(suspect.elements[-1], f"{lead}{noun}")
    return f"{said} of {origin.table}" if origin.table and suspect.dynamo_kind not in SDK_OBJECTS else said


def _title(suspect: Suspect, claim: Claim) -> str:
    grows = " and grows" if suspect.growing else ""
    return f"{suspect.path} keeps {_what(suspect)}{grows}: {claim.title}"


def _retainer(suspect: Suspect) -> Retainer:
    place = suspect.definition
    if place is None or place.line is None:
        place = next((line for line in suspect.filling if line.line is not None), place)
    return Retainer(
        path=suspect.path,
        kind=suspect.kind,
        chain=suspect.chain,
        file=place.file if place else None,
        line=place.line if place else None,
        also_held_by=suspect.also_held_by,
    )


def _growth(suspect: Suspect, evidence: Evidence) -> Growth:
    left = seconds_to_limit(suspect, evidence)
    return Growth(
        shape=suspect.shape,
        bytes_per_second=_rounded(suspect.bytes_per_second),
        objects_per_second=_rounded(suspect.objects_per_second, 3),
        seconds_to_limit=_rounded(left),
    )


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits) + 0.0  # no -0.0


def _dynamodb(suspect: Suspect) -> DynamoDB | None:
    if not suspect.is_dynamodb:
        return None
    origin = suspect.provenance
    sdk = suspect.dynamo_kind in SDK_OBJECTS
    return DynamoDB(
        kind=FINDING_KIND[suspect.dynamo_kind],
        operation=None if sdk else origin.operation,
        table=None if sdk else origin.table,
        count=suspect.elements[-1],
    )


def _evidence(suspect: Suspect, evidence: Evidence, claims: Sequence[Claim]) -> tuple[str, ...]:
    """What a reader can check, the most telling first, the command last."""
    said: list[str] = []
    series = " → ".join(f"{each:,}" for each in suspect.elements)
    seconds = evidence.seconds()
    over = f" in {seconds[-1]:.0f} s" if len(seconds) > 1 else ""
    said.append(f"elements over {article(len(suspect.elements), 'snapshot')}{over}: {series}")
    if len(suspect.sizes) > 1:
        said.append(f"bytes below them: {' → '.join(f'{each:,}' for each in suspect.sizes)}")
    if suspect.definition is not None:
        said.append(f"defined at {suspect.definition}")
    said += [f"filled at {line}" for line in suspect.filling[:3]]
    said += [f"emptied at {line}" for line in suspect.clearing[:2]]
    said += captured_lines(suspect, evidence)
    said += allocated_lines(suspect, _retainer(suspect), evidence)
    said += suspect.provenance.reasons
    said += [f"called at {site}" for site in suspect.provenance.sites[:3]]
    if suspect.is_dynamodb:
        inside = [
            f"{n:,} {kind.name.lower().replace('_', ' ')}" for kind, n in list(suspect.counts.items())[:6]
        ]
        said.append(f"below it: {', '.join(inside)}")
    for claim in claims:
        said += claim.evidence
    said += [f"also {claim.rule.id}: {claim.title}" for claim in claims[1:]]
    said += [f"also held by {path}" for path in suspect.also_held_by[:3]]
    said.append(_command(suspect, evidence))
    return tuple(dict.fromkeys(said))


def _command(suspect: Suspect, evidence: Evidence) -> str:
    """A command that shows the same numbers from the capture."""
    if suspect.container < 0 or suspect.unreachable:
        return evidence.command("chains")
    held = "o.type, count(*) AS elements, sum(o.retained_size) AS bytes FROM edges e"
    last = "GROUP BY o.type ORDER BY elements DESC"
    graph = evidence.snapshots[-1]
    if (closure := closure_of(graph, suspect.members)) is not None:
        # Each run of the function has a context of its own; what they share is the function's scope.
        scope, variable = closure
        name = variable.replace("'", "''")
        query = (
            f"SELECT {held} JOIN edges s ON s.source = e.source JOIN objects o ON o.id = e.target WHERE "
            f"s.label = 'scope_info' AND s.target = {scope} AND e.label = '{name}' {last}"
        )
    elif is_node(graph) and suspect.container in graph.root_objects:
        return evidence.command("chains")  # nothing below the roots holds all of them
    else:
        query = f"SELECT {held} JOIN objects o ON o.id = e.target WHERE e.source = {suspect.container} {last}"
    return evidence.command("sql", query)


def _references(claims: Sequence[Claim]) -> References:
    owasp = dict.fromkeys(name for claim in claims for name in claim.rule.references.owasp)
    cwe = dict.fromkeys(name for claim in claims for name in claim.rule.references.cwe)
    return References(tuple(owasp), tuple(cwe))
