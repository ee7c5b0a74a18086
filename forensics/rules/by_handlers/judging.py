"""From handlers' series and goroutines to findings: one for each handler, or for each kind of waiting goroutine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from forensics import units
from forensics.dynamodb.go_references import outputs
from forensics.findings import DynamoDB, Finding, Growth, Retainer, Severity
from forensics.profiles.model import AllocationProfile
from forensics.profiles.naming import operations_of
from forensics.rules.by_handlers.goroutines import Waiting, waiting
from forensics.rules.by_handlers.over_fetch import mostly_large, said_of
from forensics.rules.by_handlers.patterns import PATTERNS, all_references, whole_remedy
from forensics.rules.by_handlers.series import Held, held_by_handler, rates_by_handler
from forensics.rules.by_handlers.signs import Sign
from forensics.rules.by_handlers.statics import growing_statics
from forensics.rules.evidence import Evidence

RUNTIMES = ("go", "rust")

_DATA = (Sign.PAGE, Sign.DATA, Sign.TEXT)
#: Stacks of goroutines, buffers of connections: what grows without a handler, beside handlers that grow ten times as
#: much, is theirs.
_ASIDE = 0.1
#: A sign decides where it makes up this share of what grew.
_DECIDES = 0.3
#: Kept strings without this share of maps and lists around them are kept alone.
_ALONE = 0.2
#: Metadata of at least this share of the data that grew: the output was kept, and not its items.
_WHOLE = 0.02
#: Errors of at least this share of the metadata that grew: it is theirs.
_REFUSALS = 0.1
#: What grows by less than this share of all growth is a step less severe.
_SMALL = 0.02


@dataclasses.dataclass(frozen=True)
class Cause:
    """A finding, and the bytes of its cause in every profile (float64[profiles])."""

    finding: Finding
    sizes: np.ndarray


def applies(evidence: Evidence) -> bool:
    """Whether a capture is judged by its handlers: profiles of Go or Rust, two at least, and no object graph."""
    return evidence.runtime in RUNTIMES and len(memory_profiles(evidence)) > 1 and not len(evidence.snapshots)


def by_handlers(evidence: Evidence) -> list[Finding]:
    """Findings out of two or more profiles of a Go or Rust process; numbered by the caller."""
    return [cause.finding for cause in causes(evidence) if cause.finding.growth.shape == "growing"]


def causes(evidence: Evidence) -> list[Cause]:
    """Every handler whose allocations are held, growing or not; empty where there are no two profiles."""
    profiles = memory_profiles(evidence)
    if not applies(evidence):
        return []
    hints = operations_of(evidence.responses, evidence.sources)
    groups = held_by_handler(profiles, hints)
    stuck = [each for each in waiting(evidence.goroutines, evidence.goroutine_text) if each.growing]
    judged = _Judge(evidence, profiles, groups, stuck)
    return sorted(judged.causes(), key=lambda each: -each.finding.retained_bytes)


def memory_profiles(evidence: Evidence) -> list[AllocationProfile]:
    """The profiles of live memory, oldest first."""
    return [
        each
        for each in evidence.profiles
        if isinstance(each, AllocationProfile)
        and "live" in each.measures
        and each.origin.stacks_are == "allocations"
    ]


class _Judge:
    def __init__(
        self,
        evidence: Evidence,
        profiles: Sequence[AllocationProfile],
        groups: dict[str, Held],
        stuck: Sequence[Waiting],
    ) -> None:
        self.evidence, self.groups, self.stuck = evidence, groups, list(stuck)
        self.last = profiles[-1]
        self.seconds = evidence.profile_seconds()
        self.counted = all(each.measures["live"].counts is not None for each in profiles)
        self.rates = rates_by_handler(evidence.rates)
        self.statics = growing_statics(evidence.manifest.get("allocations", ()))
        self.outputs = outputs(evidence.references) if evidence.references is not None else []
        self.transport = groups.get("(transport)")
        self.all_growth = max(
            1.0, sum(max(0.0, group.grown()) for group in groups.values() if group.shape() == "growing")
        )

    def causes(self) -> list[Cause]:
        found: list[Cause] = []
        for name, group in self.groups.items():
            if name == "(transport)" or (not group.name and self._aside(group)):
                continue
            if group.shape() == "growing":
                found.append(self._of_handler(group))
            else:
                found.append(Cause(self._finding(group, "G01", [], group.shape()), group.total()))
        grown = [cause for cause in found if cause.finding.growth.shape == "growing"]
        found += [self._of_goroutines(each) for each in self.stuck if self._unclaimed(each, grown)]
        if self.transport is not None and self.transport.shape() == "growing" and not grown:
            found.append(Cause(self._finding(self.transport, "L10", []), self.transport.total()))
        return found

    def _aside(self, nameless: Held) -> bool:
        """Whether growth without the application on its stack is the small share that named handlers bring along."""
        named = sum(
            max(0.0, each.grown())
            for each in self.groups.values()
            if each.name and each is not self.transport and each.shape() == "growing"
        )
        return nameless.grown() < _ASIDE * named

    # -- which pattern -----------------------------------------------------------------------------------------

    def _of_handler(self, group: Held) -> Cause:
        waits = self._begun_by(group)
        rule, said = self._rule(group, waits)
        return Cause(self._finding(group, rule, said, waits=waits), group.total())

    def _begun_by(self, group: Held) -> Waiting | None:
        for each in self.stuck:
            if each.connection:
                continue
            began = set(each.creators) & {group.name, *group.functions}
            if began or each.name == group.name:
                return each
        return None

    def _unclaimed(self, each: Waiting, grown: Sequence[Cause]) -> bool:
        if each.connection:
            # the connections of clients that are kept or dropped by a handler that was found already
            return not any(cause.finding.rule in ("L04", "L05", "L10", "L11", "L01") for cause in grown)
        return not any(each.name in cause.finding.retainer.chain for cause in grown)

    def _rule(self, group: Held, waits: Waiting | None) -> tuple[str, list[str]]:
        """The pattern of a growing handler, and what speaks for it."""
        total = max(group.grown(), 1.0)
        grown = {sign: group.grown(sign) for sign in Sign}
        data = sum(grown[sign] for sign in _DATA)
        said = [f"of what grew, {units.size(size)} are {sign.value}" for sign, size in
                sorted(grown.items(), key=lambda pair: -pair[1])[:4] if size > 0]  # fmt: skip
        if waits is not None:
            return "L09", said
        if grown[Sign.CONFIGURATION] >= _DECIDES * total:
            return "L05", said
        if grown[Sign.CLIENT] >= _DECIDES * (total - data) and data < total / 2:
            return "L04", said
        if grown[Sign.LAYER] >= _DECIDES * total:
            layer = group.entries.most_common(1)[0][0].split(" ", 1)[1]
            return "L01", [*said, f"the SDK's client calls {layer}, which keeps what passes through it"]
        if grown[Sign.CHANNEL] > 0:
            return "L14", [
                *said,
                "blocks of a channel grow under the same handler: it is filled faster than emptied",
            ]
        if grown[Sign.TASK] > 0:
            return "L09", [*said, "tasks that the handler began are alive and become more"]
        if data >= _DECIDES * total and data > grown[Sign.METADATA]:
            return self._kept_data(grown, data, said, mostly_large(group) is not None)
        if grown[Sign.ERROR] >= _DECIDES * total:
            return "L16", [*said, *self._connections()]
        if grown[Sign.CACHE] >= _DECIDES * total:
            return "L15", said
        if grown[Sign.METADATA] >= _DECIDES * total:
            # Go notes its attempts in the metadata of every answer; in Rust what was refused tells of errors that stay
            if self.evidence.runtime == "rust" and grown[Sign.ERROR] >= _REFUSALS * grown[Sign.METADATA]:
                return "L16", [
                    *said,
                    "errors hold the raw responses that they came with",
                    *self._connections(),
                ]
            return "L11", [*said, *self._connections()]
        if grown[Sign.MAP] >= _DECIDES * total:
            return "L03", [*said, "a map grows, and the application itself fills it"]
        return "G01", said

    def _kept_data(
        self, grown: dict[Sign, float], data: float, said: list[str], large: bool
    ) -> tuple[str, list[str]]:
        texts = grown[Sign.TEXT]
        # a large string is a block of its own and pins none
        if texts > 0 and data - texts < _ALONE * texts and not large:
            return "L13", [
                *said,
                "the maps and lists that held these strings are gone; the strings' blocks are not",
            ]
        if grown[Sign.PAGE] > data / 2:
            return "L02", [*said, "the paginator's NextPage is on the stack"]
        if grown[Sign.METADATA] >= _WHOLE * data:
            kept = "metadata grows with the data: the output is kept, and not its items alone"
            return "L01", [*said, kept, *self._connections()]
        if grown[Sign.LIST] > 0 and grown[Sign.MAP] <= 0:
            return "L02", [*said, "a list grows under the same handler"]
        if grown[Sign.MAP] > 0:
            return "L03", [*said, "a map grows under the same handler"]
        if self.evidence.runtime == "go":
            return "L03", [*said, "no metadata grows with the data: items are kept, and not the output"]
        return "L01", said

    def _connections(self) -> list[str]:
        if self.transport is None or self.transport.grown() <= 0:
            return []
        grown = units.size(self.transport.grown())
        return [f"also L11: buffers and headers of HTTP connections grew by {grown}; kept metadata pins them"]

    # -- the finding -------------------------------------------------------------------------------------------

    def _finding(
        self,
        group: Held,
        rule: str,
        said: Sequence[str],
        shape: str = "growing",
        waits: Waiting | None = None,
    ) -> Finding:
        pattern = PATTERNS[rule]
        large = mostly_large(group) if shape == "growing" else None
        if large is not None:
            said = [*said, said_of(group, large)]
        patterns = [pattern, *([PATTERNS["L17"]] if large is not None else [])]
        sizes = group.total()
        name = group.name or "(application not on the stack)"
        operation = group.operations.most_common(1)[0][0] if group.operations else None
        line, frame = self._entry(group)
        speaks = f" → {operation}" if operation else ""
        chain = [name, *(each for each in [line and line.split(" ", 1)[1]] if each and each != name)]
        if waits is not None:
            chain.append(waits.name)
        data = sum(group.grown(sign) for sign in (*_DATA, Sign.LAYER)) > 0 or rule in (
            "L04",
            "L05",
            "L10",
            "L11",
            "L16",
        )
        return Finding(
            id="",
            rule=rule,
            title=f"{name}{speaks} allocates {units.size(sizes[-1])} that stays and grows: {pattern.title}",
            severity=self._severity(pattern.severity, group.grown()),
            confidence=self._confidence(group, rule),
            runtime=self.evidence.runtime,
            retainer=Retainer(
                path=waits.name if waits is not None else name,
                kind="goroutine" if waits is not None else "allocation-site",
                chain=tuple(chain),
                file=_short(frame.file) if frame else None,
                line=frame.line if frame and frame.line else None,
            ),
            retained_bytes=round(float(sizes[-1])),
            objects=int(group.objects[-1]) if self.counted else None,
            growth=self._growth(sizes, shape, group.objects),
            dynamodb=DynamoDB(pattern.kind, operation, None, int(waits.counts[-1]) if waits else 0)
            if data
            else None,
            evidence=self._evidence(group, sizes, said, waits),
            remediation=whole_remedy(patterns, self.evidence.runtime),
            references=all_references(patterns),
        )

    def _of_goroutines(self, each: Waiting) -> Cause:
        pattern = PATTERNS["L10" if each.connection else "L09"]
        series = " → ".join(f"{count:,}" for count in each.counts)
        creators = sorted(each.creators, key=lambda name: -each.creators[name])
        noun = "goroutines of connections" if each.connection else "goroutines"
        finding = Finding(
            id="",
            rule=pattern.id,
            title=f"{int(each.counts[-1]):,} {noun} stand in {each.name} and become more: {pattern.title}",
            severity=pattern.severity,
            confidence=0.8,
            runtime=self.evidence.runtime,
            retainer=Retainer(
                path=each.name,
                kind="goroutine",
                chain=(*creators[:1], each.name),
                file=_short(each.frame.file) if each.frame else None,
                line=each.frame.line if each.frame and each.frame.line else None,
            ),
            retained_bytes=0,
            objects=int(each.counts[-1]),
            growth=Growth("growing", None, self._rate(each.counts)),
            dynamodb=DynamoDB("client", None, None, int(each.counts[-1])) if each.connection else None,
            evidence=(
                f"they wait for {each.wait}; their number over the profiles: {series}",
                *(f"begun by {name}" for name in creators[:3]),
                self.evidence.command("show"),
            ),
            remediation=pattern.remedies["go"],
            references=pattern.references,
        )
        return Cause(finding, np.asarray(each.counts, float))

    def _entry(self, group: Held):
        if not group.entries:
            return None, group.frame
        line = group.entries.most_common(1)[0][0]
        # where a person would look first: the handler's own line; the entry where the two are the same
        return line, group.frame or group.entry_frames[line]

    def _evidence(
        self, group: Held, sizes: np.ndarray, said: Sequence[str], waits: Waiting | None
    ) -> tuple[str, ...]:
        series = " → ".join(units.size(each) for each in sizes)
        over = f" in {self.seconds[-1]:.0f} s" if self.seconds else ""
        lines = [f"live bytes that it allocated, over {len(sizes)} profiles{over}: {series}", *said]
        lines += self._turnover(group, sizes)
        if waits is not None:
            counts = " → ".join(f"{count:,}" for count in waits.counts)
            lines.append(f"goroutines in {waits.name} that wait for {waits.wait}: {counts}")
            lines += [f"they are begun by {creator}" for creator in list(waits.creators)[:2]]
        lines += [f"allocated by way of {line}" for line, _ in group.entries.most_common(3)]
        if not group.name:
            lines.append(self._deeper())
        lines += (
            self._holders(group)
            or self._statics(group)
            or [
                "a stack says who allocated it, not who holds it: look for what this line's result is stored in"
            ]
        )
        lines.append(self.evidence.command("show"))
        return tuple(lines)

    def _holders(self, group: Held) -> list[str]:
        """Which variables lead to outputs of the handler's operations, where grf walked the references.

        Of several handlers that ask for the same operation it does not tell whose outputs they are: all are named.
        """
        return [
            f"references: {each.path} leads to {each.outputs:,} {each.type}, {units.size(each.bytes)} reached first "
            "by this way (grf)"
            for each in [each for each in self.outputs if each.operation in group.operations][:3]
        ]

    def _statics(self, group: Held) -> list[str]:
        """Which statics of a Rust program grow meanwhile: a handler's data may lie in one of them, or in none."""
        kept = sum(group.grown(sign) for sign in (*_DATA, Sign.CLIENT, Sign.LAYER))
        elsewhere = group.grown(Sign.CHANNEL) > 0 or group.grown(Sign.TASK) > 0
        if not self.statics or kept <= 0 or elsewhere:
            return []
        return [
            "a stack says who allocated it, not who holds it; these statics of the program grow meanwhile, and the "
            "memory does not tell which of them this handler fills:",
            *(f"static {each}" for each in self.statics[:6]),
        ]

    def _turnover(self, group: Held, sizes: np.ndarray) -> list[str]:
        """How much of what the handler allocates stays: what it allocates alone is no leak."""
        allocated, kept = self.rates.get(group.name, 0.0), self._rate(sizes)
        if allocated <= 0 or kept is None or kept <= 0:
            return []
        # both are sampled, and what no collection has seen yet is not in the former: the latter may be larger
        share = (
            f"at most {kept / allocated:.0%} of it stays"
            if kept < 0.95 * allocated
            else "most of it may stay"
        )
        return [f"it allocates {units.size(allocated)}/s at least, freed or not (seconds= profiles); {share}"]

    def _deeper(self) -> str:
        if self.evidence.runtime == "go":
            return "the stacks end before the handler: run the service with GODEBUG=profstackdepth=1024"
        return "the stacks end before the handler: jemalloc keeps 128 frames; build with optimisation, frames get fewer"

    def _growth(self, sizes: np.ndarray, shape: str, objects: np.ndarray) -> Growth:
        rate = self._rate(sizes)
        left = None
        limit, resident = self.evidence.memory_limit(), self.evidence.resident_bytes()
        if limit and resident and rate and rate > 0:
            left = round(max(0.0, (limit - resident) / rate), 1)
        return Growth(shape, rate, self._rate(objects, 3) if self.counted else None, left)  # type: ignore[arg-type]

    def _rate(self, values: np.ndarray, digits: int = 1) -> float | None:
        if not self.seconds or self.seconds[-1] <= 0:
            return None
        return round(float(values[-1] - values[0]) / self.seconds[-1], digits)

    def _severity(self, base: Severity, grown: float) -> Severity:
        if grown >= _SMALL * self.all_growth:
            return base
        steps: dict[Severity, Severity] = {"critical": "high", "high": "medium", "medium": "low"}
        return steps.get(base, base)

    def _confidence(self, group: Held, rule: str) -> float:
        certain = 0.9 if len(self.seconds) > 2 else 0.75
        return round(certain * (1.0 if group.name else 0.7) * (0.8 if rule == "G01" else 1.0), 2)


def _short(file: str) -> str:
    """``orders/api.go``: the last two parts of the path."""
    return "/".join(file.replace("\\", "/").split("/")[-2:])
