"""Stacks as people speak of them: "orders/db.py:41 fetch_page → Query", and not the decoder at their end."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from forensics.profiles.model import AllocationProfile, Frame
from forensics.profiles.room import Room

#: (file name as the frames give it, line) -> DynamoDB operation; made from a capture's tracer or sources
Operations = Mapping[tuple[str, int], str]

OPERATIONS = (
    "BatchExecuteStatement",
    "BatchGetItem",
    "BatchWriteItem",
    "DeleteItem",
    "DescribeTable",
    "ExecuteStatement",
    "ExecuteTransaction",
    "GetItem",
    "ListTables",
    "PutItem",
    "Query",
    "Scan",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateItem",
)
_SOURCE_SUFFIXES = {".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rs"}
_SNAKE = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(): name for name in OPERATIONS}
_LOWER = {name.lower(): name for name in OPERATIONS}
_NAMES = "|".join(OPERATIONS)
_IN_FUNCTION = (
    # Go: (*Client).Query, deserializeOpQuery, (*QueryPaginator); JS: de_QueryCommand, paginateQuery
    re.compile(
        rf"(?:\(\*Client\)\.|[dD]eserializeOp|\(\*|de_|se_|paginate)({_NAMES})(?:Command|Paginator|Output|\b|\))"
    ),
    # Rust: operation::query::, protocol_serde::shape_query::
    re.compile(rf"::(?:operation::|shape_)({'|'.join(_SNAKE)})::"),
)
_IN_SOURCE = re.compile(
    rf"\.({_NAMES})\(|\.({'|'.join(_SNAKE)})\s*\(|get_paginator\(\s*['\"]({'|'.join(_SNAKE)})['\"]"
    rf"|new ({_NAMES})Command\b|paginate({_NAMES})\b"
)


@dataclass(frozen=True)
class Place:
    """Where a stack allocates, for people.

    Attributes
    ----------
    text : "orders/db.py:41 fetch_page → Query"
    frame : the innermost frame of the application, or the best there is; None for an empty stack
    room : whose code ``frame`` is
    operation : the DynamoDB operation, where the stack or a hint tells
    dynamodb : whether the allocation happened in the SDK or its deserialiser
    """

    text: str
    frame: Frame | None
    room: Room
    operation: str | None
    dynamodb: bool


def operation_in_source(text: str) -> str | None:
    """The DynamoDB operation that a source line calls, None where it calls none."""
    match = _IN_SOURCE.search(text)
    if match is None:
        return None
    name = next(group for group in match.groups() if group)
    return _SNAKE.get(name, name)


def operations_of(responses: pd.DataFrame | None, sources: pd.DataFrame | None) -> dict[tuple[str, int], str]:
    """Hints out of a capture: which lines call which operation.

    The tracer's notes (``responses``: file, line, operation) come before what the source lines say
    (``sources``: file, line, text).
    """
    found: dict[tuple[str, int], str] = {}
    if sources is not None:
        for file, line, text in zip(sources["file"], sources["line"], sources["text"], strict=True):
            operation = operation_in_source(str(text))
            if operation and pd.notna(line):
                found[(str(file), int(line))] = operation
    if responses is not None:
        for file, line, operation in zip(
            responses["file"], responses["line"], responses["operation"], strict=True
        ):
            if pd.notna(line) and operation:
                found[(str(file), int(line))] = str(operation)
    return found


def operations_under(folder: Path, profile: AllocationProfile) -> dict[tuple[str, int], str]:
    """Hints out of the program's sources, which the caller has at ``folder``.

    A frame's file is looked for among the files below ``folder`` by the end of its path; the path in the
    profile itself is never opened.
    """
    found: dict[tuple[str, int], str] = {}
    by_name: dict[str, list[Path]] = {}
    for file in sorted(folder.rglob("*")):
        if file.suffix in _SOURCE_SUFFIXES and file.is_file():
            by_name.setdefault(file.name, []).append(file)
    for number in np.flatnonzero(profile.rooms == Room.APPLICATION):
        frame = profile.frames[int(number)]
        parts = frame.file.replace("\\", "/").split("/")
        for file in by_name.get(parts[-1], ()):
            tail = file.relative_to(folder.parent).parts
            if list(tail[-2:]) != parts[-2:] and len(parts) > 1:
                continue
            lines = file.read_text(errors="replace").splitlines()
            if 0 < frame.line <= len(lines) and (operation := operation_in_source(lines[frame.line - 1])):
                found[(frame.file, frame.line)] = operation
    return found


def place_of_stack(profile: AllocationProfile, stack: int, operations: Operations | None = None) -> Place:
    """The place of one stack of a profile."""
    ids = profile.stack_frames[profile.stack_offsets[stack] : profile.stack_offsets[stack + 1]]
    frames = [profile.frames[int(each)] for each in ids]
    return place_of(frames, [Room(int(profile.rooms[each])) for each in ids], operations)


def place_of(frames: list[Frame], rooms: list[Room], operations: Operations | None = None) -> Place:
    """The place of a stack whose frames (innermost first) stand in these rooms."""
    if not frames:
        return Place("(no stack)", None, Room.RUNTIME, None, False)
    own = next((position for position, room in enumerate(rooms) if room == Room.APPLICATION), None)
    inner = rooms if own is None else rooms[:own]
    dynamodb = any(room in (Room.SDK, Room.DESERIALISER) for room in inner)
    operation = _operation(frames, rooms, own, operations) if dynamodb else None
    arrow = f" → {operation or 'DynamoDB'}" if dynamodb else ""
    if own is not None:
        return Place(spell(frames[own]) + arrow, frames[own], Room.APPLICATION, operation, dynamodb)
    for wanted in (Room.FRAMEWORK, Room.SDK, Room.DESERIALISER, Room.RUNTIME):
        # Without the application's frame the outermost of a library says most of who asked for it.
        at = next((k for k in reversed(range(len(rooms))) if rooms[k] == wanted), None)
        if at is not None:
            if dynamodb and wanted != Room.FRAMEWORK:
                return Place(f"(application not on the stack) {spell(frames[at])}{arrow}", frames[at], wanted,
                             operation, True)  # fmt: skip
            best = at if wanted == Room.FRAMEWORK else 0
            return Place(spell(frames[best]) + arrow, frames[best], rooms[best], operation, dynamodb)
    raise AssertionError("a frame is always in a room")


def _operation(
    frames: list[Frame], rooms: list[Room], own: int | None, operations: Operations | None
) -> str | None:
    for frame, room in zip(frames, rooms, strict=True):
        if room in (Room.SDK, Room.DESERIALISER):
            for pattern in _IN_FUNCTION:
                if match := pattern.search(frame.function):
                    return _SNAKE.get(match[1], match[1])
    if operations:
        for frame, room in zip(frames, rooms, strict=True):
            if room == Room.APPLICATION and (hint := operations.get((frame.file, frame.line))):
                return hint
    return None


def spell(frame: Frame) -> str:
    """ "orders/db.py:41 fetch_page": the last two parts of the path are enough for people."""
    path = frame.file.replace("\\", "/").removeprefix("file://")
    short = "/".join(path.split("/")[-2:])
    where = f"{short}:{frame.line}" if frame.line else short
    function = frame.function.rsplit("/", 1)[-1]
    return f"{where} {function}".strip()


def places(
    profile: AllocationProfile, *, measure: str | None = None, operations: Operations | None = None
) -> pd.DataFrame:
    """The profile by place, heaviest first: place, operation, dynamodb, room, bytes, count, share, stacks."""
    sizes, counts = profile.by_stack(measure)
    rows: dict[str, list] = {}
    for stack in np.flatnonzero((sizes != 0) | (counts != 0)):
        place = place_of_stack(profile, int(stack), operations)
        row = rows.setdefault(place.text, [place.operation, place.dynamodb, place.room.label, 0, 0, 0])
        row[3] += int(sizes[stack])
        row[4] += int(counts[stack])
        row[5] += 1
    columns = ["operation", "dynamodb", "room", "bytes", "count", "stacks"]
    table = pd.DataFrame(list(rows.values()), columns=columns)
    table.insert(0, "place", list(rows))
    table.insert(6, "share", table["bytes"] / max(int(table["bytes"].sum()), 1))
    return table.sort_values(["bytes", "place"], ascending=[False, True], ignore_index=True)
