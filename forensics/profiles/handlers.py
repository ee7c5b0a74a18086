"""Which function of the application a stack belongs to: the handler that asked, and the line that called the library.

A request passes middlewares (the application's or a framework's), the handler, and often a layer that makes the
calls to DynamoDB. The run of application frames next to the allocation is what matters: its outermost function is the
handler, its innermost the line where the library was entered. Frames of a framework end the run; those of the runtime
(Rust's ``Future::poll``, Go's ``sync.Once``) do not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from forensics.profiles.frames import Room
from forensics.profiles.model import AllocationProfile, Frame

_GO_CLOSURE = re.compile(r"(?:\.func\d+|\.\d+|-fm|-range\d+|\.gowrap\d+|\.deferwrap\d+)+$")
_RUST_CLOSURE = re.compile(r"(?:::\{\{closure\}\}|::\{closure(?:_env)?#\d+\}|::h[0-9a-f]{16})+")
_GENERIC = re.compile(r"\[(?:go\.shape\.|\.\.\.).*\]")


@dataclass(frozen=True)
class Run:
    """The application's part of a stack.

    Attributes
    ----------
    handler, entry : the outermost and the innermost frame of the run; the same where there is one only
    inner : how many frames of the stack lie inside of the run
    functions : the names in the run, innermost first, without closures
    """

    handler: Frame
    entry: Frame
    inner: int
    functions: tuple[str, ...]


def plain_name(function: str) -> str:
    """A function's name without what the compiler adds for closures and type parameters."""
    return _GENERIC.sub("", _RUST_CLOSURE.sub("", _GO_CLOSURE.sub("", function)))


def run_of(frames: Sequence[Frame], rooms: Sequence[Room]) -> Run | None:
    """The run of application frames next to the allocation; None where the stack shows none."""
    first = next((k for k, room in enumerate(rooms) if room == Room.APPLICATION), None)
    if first is None:
        return None
    last = first
    for position in range(first, len(rooms)):
        if rooms[position] == Room.FRAMEWORK:
            break
        if rooms[position] == Room.APPLICATION and not _starts_all(frames[position].function):
            last = position
    own = [frames[k] for k in range(first, last + 1) if rooms[k] == Room.APPLICATION]
    return Run(own[-1], own[0], first, tuple(dict.fromkeys(plain_name(frame.function) for frame in own)))


def _starts_all(function: str) -> bool:
    """Whether a function is the program's own beginning, which is nobody's handler."""
    return plain_name(function) == "main.main" or plain_name(function).endswith("::main")


def stack_with_rooms(profile: AllocationProfile, stack: int) -> tuple[tuple[Frame, ...], list[Room]]:
    """The frames of one stack, innermost first, and whose code they are."""
    span = slice(int(profile.stack_offsets[stack]), int(profile.stack_offsets[stack + 1]))
    return profile.stack(stack), [Room(int(profile.rooms[each])) for each in profile.stack_frames[span]]
