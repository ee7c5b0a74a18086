"""Whole names for the frames of Rust programs, where debugging information has short ones.

With ``debug = "line-tables-only"`` a function that was inlined is ``insert<K, V>`` or ``{async_fn#0}``, without its
path; and GNU addr2line gives the symbol's name, which is that of the outermost function at the address, to the
innermost one. The path follows from the file: files of crates and of the standard library lie where their modules are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from forensics.profiles.room import Room
from forensics.profiles.rust_frames import own_path, room_of_rust

Line = tuple[str, str, int]

_CRATE = re.compile(
    r"/(?:registry/src/[^/]+|git/checkouts/[^/]+|deps|vendor)/([\w-]+?)-\d[^/]*/src/(.*)\.rs$"
)
_STANDARD = re.compile(r"/library/(std|core|alloc)/src/(.*)\.rs$")
_CLOSURE = re.compile(r"^\{(?:async_fn|async_block|closure)(?:_env)?#\d+\}$")
_FUTURE = re.compile(r"([A-Za-z_][\w:]*)::\{async_(?:fn|block)_env#\d+\}")


def whole_names(lines: Sequence[Line]) -> tuple[Line, ...]:
    """(function, file, line) of one address, innermost first, with the names made whole where they are short."""
    turned = _turned(list(lines))
    return tuple(
        (_whole(function, file, line, lines[position + 1 :]), file, line)
        for position, (function, file, line) in enumerate(turned)
    )


def is_rust(lines: Iterable[Sequence[Line]]) -> bool:
    """Whether any of the addresses lies in a Rust source."""
    return any(file.endswith(".rs") for each in lines for _, file, _ in each)


def _turned(lines: list[Line]) -> list[Line]:
    """The symbol's name to the outermost line, to which it belongs; the innermost is left without one."""
    if len(lines) > 1 and _has_path(lines[0][0]) and not _has_path(lines[-1][0]):
        symbol, innermost, outermost = lines[0][0], lines[0], lines[-1]
        lines[0] = ("", *innermost[1:])
        lines[-1] = (symbol, *outermost[1:])
    return lines


def _whole(function: str, file: str, line: int, outside: Sequence[Line]) -> str:
    if _has_path(function) or not file.endswith(".rs"):
        return function
    short = own_path(function) or "?"
    module = _module(file)
    if module:
        return f"{module}::{short}"
    if short != "?" and not _CLOSURE.match(short):
        return short
    return _awaited_by(outside) or f"{'/'.join(file.split('/')[-3:])}:{line}"


def _has_path(function: str) -> bool:
    name = own_path(function)
    return function.startswith("<") or ("::" in name and not name.startswith("{"))


def _module(file: str) -> str:
    """``tokio::sync::mpsc::block`` for the file that module lies in; "" for a file of the application's own."""
    match = _CRATE.search(file) or _STANDARD.search(file)
    if match is None:
        return ""
    parts = [match[1].replace("-", "_"), *match[2].split("/")]
    return "::".join(parts[:-1] if parts[-1] in ("mod", "lib") else parts)


def _awaited_by(outside: Sequence[Line]) -> str:
    """An async function's path out of the type arguments of what polls it, where those name one of the program's."""
    if not outside:
        return ""
    named = (match[1] for match in _FUTURE.finditer(outside[0][0]))
    own = [name for name in named if room_of_rust(name, "") == Room.APPLICATION]
    return f"{own[0]}::{{{{closure}}}}" if own else ""
