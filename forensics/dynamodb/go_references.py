"""References of a Go process as grf writes them: which variable leads to which DynamoDB data, merged into chains.

grf (github.com/cloudwego/goref) writes a pprof profile whose stacks are ways through the heap: the outermost "function"
is a package's variable or a function whose frame refers to something, each further one a field and its type
(``Items. ([]map[string]types.AttributeValue)``), ``$mapval`` and ``[3]`` the elements of maps and slices. An object is
counted where grf came to it first: what two variables share is the first one's, so that bytes here are "first reached
by this way" and no dominator's retained size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.dynamodb.rooms import Room
from forensics.dynamodb.vocabulary import Kind
from forensics.profiles.frames import room_of
from forensics.profiles.model import AllocationProfile
from forensics.profiles.room import Room as FrameRoom

#: How deep a way is followed: an item within an item within a page is told by then.
DEEPEST = 40
#: Ways lead on from DynamoDB data by so many steps: ``RESPONSES › QueryOutput › Items › item › S``.
BELOW = 4
_STEP = re.compile(r"^(.*?)\. \((.*)\)$", re.S)
_POSITION = re.compile(r"\[\d+\+?\]|\$mapval")
#: What every goroutine's stack begins with.
_BEGINNINGS = frozenset(("runtime.goexit", "runtime.main"))
_PACKAGE_PATH = re.compile(r"(?:[\w.~-]+/)+(?=[\w-]+\.)")

_SERVICE = r"\*?github\.com/aws/aws-sdk-go-v2/service/dynamodb"
_ATTRIBUTE = r"github\.com/aws/aws-sdk-go-v2/service/dynamodb/types\.AttributeValue"
#: Types, matched whole, and what they are; a map of attributes is told further by what refers to it.
_KINDS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (rf"{_SERVICE}\.\w+Output", Kind.RESPONSE),
        (rf"{_SERVICE}\.\w+Input", Kind.REQUEST),
        (rf"\[\]map\[string\]{_ATTRIBUTE}", Kind.ITEMS),
        (rf"map\[string\]{_ATTRIBUTE}", Kind.ITEM),
        (rf"\*?{_ATTRIBUTE}(?:Member\w+)?|\[\]{_ATTRIBUTE}", Kind.ATTRIBUTE_VALUE),
        (rf"{_SERVICE}\.Client", Kind.CLIENT),
        (rf"{_SERVICE}\.(?:Query|Scan|ListTables|BatchGetItem)Paginator", Kind.PAGINATOR),
        (r"\*?github\.com/aws/aws-sdk-go-v2/aws\.Config", Kind.SESSION),
    )
)
_TOKENS = ("LastEvaluatedKey", "ExclusiveStartKey")
_OPERATION = re.compile(r"\.(\w+)Output$")
_ROOMS: dict[FrameRoom, Room] = {
    FrameRoom.APPLICATION: "application",
    FrameRoom.FRAMEWORK: "framework",
    FrameRoom.SDK: "sdk",
    FrameRoom.DESERIALISER: "sdk",
}


@dataclass
class _Place:
    """One place in the tree of ways; ``bytes`` and ``objects`` are those of the objects that stand here."""

    label: str
    type: str
    kind: Kind
    path: str
    room: Room
    parent: _Place | None = None
    objects: int = 0
    bytes: int = 0
    below: dict[str, _Place] = field(default_factory=dict)

    def every(self) -> Iterator[_Place]:
        """This one and all below, outermost first."""
        waiting = [self]
        while waiting:
            place = waiting.pop()
            yield place
            waiting.extend(reversed(place.below.values()))

    def reached(self) -> int:
        """Bytes first reached by this way."""
        return sum(each.bytes for each in self.every())


@dataclass(frozen=True)
class HeldOutput:
    """Outputs of one operation that a variable leads to."""

    operation: str
    path: str
    type: str
    outputs: int
    bytes: int


def outputs(profile: AllocationProfile) -> list[HeldOutput]:
    """The whole responses there are, by the way that leads to them; the heaviest first.

    ``path`` ends before the response itself: ``main.responses[…]``; ``outputs`` counts those that are objects of their
    own.
    """
    found = [
        HeldOutput(operation[1], place.path, _short(place.type), place.objects, place.reached())
        for place in _tree(profile).every()
        if place.kind == Kind.RESPONSE and (operation := _OPERATION.search(place.type))
    ]
    return sorted((each for each in found if each.bytes), key=lambda each: -each.bytes)


def reference_chains(
    profile: AllocationProfile, *, kinds: frozenset[Kind] | None = None, limit: int = 24
) -> ReferenceChains:
    """The chains from variables to DynamoDB data, the heaviest ``limit`` places of it with their ways.

    Parameters
    ----------
    profile : what grf wrote; ``origin.stacks_are`` is "references"
    kinds : only ways to these; all where None
    """
    root = _tree(profile)
    wanted = [
        place
        for place in root.every()
        if (place.kind in kinds if kinds is not None else place.kind != Kind.NONE) and _near(place)
    ]
    reached = {id(place): place.reached() for place in wanted}
    wanted.sort(key=lambda place: -reached[id(place)])
    numbers: dict[int, int] = {}
    nodes: list[ChainNode] = []
    edges: list[ChainEdge] = []
    for place in wanted[:limit]:
        way = [place]
        while (above := way[-1].parent) is not None:
            way.append(above)
        for each in reversed(way):
            if id(each) in numbers:
                continue
            numbers[id(each)] = len(nodes)
            size = each.reached()
            nodes.append(_node(len(nodes), each, size))
            if each.parent is not None:
                source = numbers[id(each.parent)]
                edges.append(ChainEdge(source, numbers[id(each)], each.label, max(1, each.objects), size))
    return ReferenceChains(tuple(nodes), tuple(edges), max(0, len(wanted) - limit))


def _tree(profile: AllocationProfile) -> _Place:
    """All ways as one tree; elements of the same container are one place."""
    root = _Place("", "", Kind.NONE, "", "root")
    sizes, counts = profile.by_stack("live")
    for stack in range(profile.n_stacks):
        place = root
        steps = [frame.function for frame in reversed(profile.stack(stack))]
        for step in steps[:DEEPEST]:
            if place is root and step in _BEGINNINGS:
                continue
            place = _below(place, step)
        place.objects += int(counts[stack])
        place.bytes += int(sizes[stack])
    for variable in root.below.values():
        # grf leaves out the type of a variable: what has the metadata of a response is one
        if any(each.label == "ResultMetadata" for each in variable.below.values()):
            variable.kind, variable.room = Kind.RESPONSE, "dynamodb"
    return root


def _below(place: _Place, step: str) -> _Place:
    match = _STEP.match(step)
    name, type_name = (match[1], match[2]) if match else (step, "")
    if _POSITION.fullmatch(name):
        label, path = "[…]", f"{place.path}[…]"
    elif name == "$mapkey":
        label, path = "key", f"{place.path} key"
    elif name.startswith("$"):
        label, path = "", f"{place.path} …"
    else:
        label, path = name, f"{place.path}.{name}" if place.path else name
    key = f"{label} {type_name}"
    known = place.below.get(key)
    if known is None:
        kind = _kind(label, type_name, place)
        known = place.below[key] = _Place(label, type_name, kind, path, _room(name, type_name, kind), place)
    return known


def _kind(label: str, type_name: str, above: _Place) -> Kind:
    kind = next((kind for pattern, kind in _KINDS if pattern.fullmatch(type_name)), Kind.NONE)
    if kind == Kind.ITEM and label in _TOKENS:
        return Kind.TOKEN
    if kind == Kind.ITEM and above.kind == Kind.ATTRIBUTE_VALUE:
        return Kind.ATTRIBUTE_VALUE
    return kind


def _near(place: _Place) -> bool:
    """Whether few steps only lie between a place and the outermost DynamoDB data above it."""
    above, steps = place.parent, 0
    outermost = 0
    while above is not None:
        steps += 1
        if above.kind != Kind.NONE:
            outermost = steps
        above = above.parent
    return outermost <= BELOW


def _room(name: str, type_name: str, kind: Kind) -> Room:
    if kind in (Kind.CLIENT, Kind.SESSION, Kind.PAGINATOR):
        return "sdk"
    if kind != Kind.NONE:
        return "dynamodb"
    named = re.sub(r"^(?:\*|\[\d*\]|map\[\w+\])+", "", type_name) if type_name else name
    if "." not in named:
        return "runtime"
    return _ROOMS.get(room_of(named, "", "go"), "runtime")


def _short(type_name: str) -> str:
    """``*dynamodb.QueryOutput``: packages by their last name."""
    return _PACKAGE_PATH.sub("", type_name)


def _node(number: int, place: _Place, size: int) -> ChainNode:
    if place.parent is None:
        return ChainNode(number, "GC roots", "root", len(place.below), size)
    label = _short(place.type) or place.path
    return ChainNode(number, label, place.room, max(1, place.objects), size, path=place.path)
