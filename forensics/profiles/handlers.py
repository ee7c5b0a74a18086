"""Which function of the application a stack belongs to: the handler that asked, and the line that called the library.

A request passes middlewares (the application's or a framework's), the handler, and often a layer that makes the
calls to DynamoDB. The run of application frames next to the allocation is what matters: its outermost function is the
handler, its innermost the line where the library was entered. Frames of a framework end the run, other than those that
the SDK works with itself (Rust's ``tracing``); those of the runtime (``Future::poll``, Go's ``sync.Once``) do not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forensics.profiles.model import AllocationProfile, Frame
from forensics.profiles.room import Room

_GO_CLOSURE = re.compile(r"(?:\.func\d+|\.\d+|-fm|-range\d+|\.gowrap\d+|\.deferwrap\d+)+$")
_RUST_CLOSURE = re.compile(
    r"(?:::\{\{closure\}\}|::\{(?:closure|async_fn|async_block)(?:_env)?#\d+\}|::h[0-9a-f]{16})+"
)
_RUST_TRAIT = re.compile(r"^<([\w:]+) as [^>]*>::")
_GENERIC = re.compile(r"\[(?:go\.shape\.|\.\.\.).*\]")


@dataclass(frozen=True)
class Run:
    """The application's part of a stack.

    Attributes
    ----------
    handler, entry : the outermost and the innermost frame of the run; the same where there is one only
    inner : how many frames of the stack lie inside of the run
    functions : the names in the run, innermost first, without closures
    called_by_sdk : the position of the SDK's frame that called into the run's inner end: an interceptor, a middleware
        of the client; None where the SDK stands inside the run only
    """

    handler: Frame
    entry: Frame
    inner: int
    functions: tuple[str, ...]
    called_by_sdk: int | None = None


def plain_name(function: str) -> str:
    """A function's name without what the compiler adds for closures, type parameters and the trait it is of."""
    name = _GENERIC.sub("", _RUST_CLOSURE.sub("", _GO_CLOSURE.sub("", function)))
    return _RUST_TRAIT.sub(r"\1::", name)


def run_of(frames: Sequence[Frame], rooms: Sequence[Room]) -> Run | None:
    """The run of application frames next to the allocation; None where the stack shows none."""
    first = next((k for k, room in enumerate(rooms) if room == Room.APPLICATION), None)
    if first is None:
        return None
    last = first
    for position in range(first, len(rooms)):
        if rooms[position] == Room.FRAMEWORK and not _within_sdk(rooms[position:]):
            break
        if rooms[position] == Room.APPLICATION and not _starts_all(frames[position].function):
            last = position
    own = [frames[k] for k in range(first, last + 1) if rooms[k] == Room.APPLICATION]
    names = tuple(dict.fromkeys(plain_name(frame.function) for frame in own))
    sdk = next((k for k in range(first, last + 1) if rooms[k] == Room.SDK), None)
    return Run(own[-1], own[0], first, names, sdk)


def _within_sdk(outward: Sequence[Room]) -> bool:
    """Whether a framework's frame is one that the SDK works with itself: what stands outside of it is the SDK."""
    others = (room for room in outward if room not in (Room.FRAMEWORK, Room.RUNTIME))
    return next(others, Room.FRAMEWORK) in (Room.SDK, Room.DESERIALISER)


def _starts_all(function: str) -> bool:
    """Whether a function is the program's own beginning, which is nobody's handler."""
    return plain_name(function) == "main.main" or plain_name(function).endswith("::main")


def stack_with_rooms(profile: AllocationProfile, stack: int) -> tuple[tuple[Frame, ...], list[Room]]:
    """The frames of one stack, innermost first, and whose code they are."""
    span = slice(int(profile.stack_offsets[stack]), int(profile.stack_offsets[stack + 1]))
    return profile.stack(stack), [Room(int(profile.rooms[each])) for each in profile.stack_frames[span]]
