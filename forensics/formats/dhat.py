"""dhat profiles: JSON of dhat-rs and of valgrind's DHAT, file version 2."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from forensics.errors import FormatError
from forensics.formats.bounded import damaged, read_json
from forensics.formats.registry import Loader, register
from forensics.profiles.builder import ProfileBuilder
from forensics.profiles.model import AllocationProfile, Frame, Origin

#: measure -> (bytes, blocks) of a program point
_FIELDS = {"live": ("eb", "ebk"), "peak": ("gb", "gbk"), "allocated": ("tb", "tbk")}

#: "0x55d0: orders::fetch (src/orders.rs:41:9)", the column optional
_FRAME = re.compile(
    r"^(?:0x[0-9A-Fa-f]+: )?(?P<function>.*?)(?: \((?P<file>[^()]*?)(?::(?P<line>\d+))?(?::\d+)?\))?$"
)


def recognises(head: bytes) -> bool:
    """The document opens with its version."""
    return b'"dhatFileVersion"' in head


def load(path: Path) -> AllocationProfile:
    """Read a dhat profile; exact, not sampled.

    Raises
    ------
    FormatError : not dhat, another version, ad-hoc mode (counts events, not memory), or damaged.
    """
    document = read_json(path)
    with damaged(path, "dhat profile"):
        version = document["dhatFileVersion"]
        if version != 2:
            raise FormatError(
                f"{path.name} is of dhat file version {version!r}; version 2 is read here.",
                advice="Use dhat-rs 0.3 or a valgrind of 3.17 or later.",
                path=str(path),
                version=version,
            )
        if not document.get("bklt", True):
            raise FormatError(
                f"{path.name} is an ad-hoc dhat profile: it counts events of the program's own, not memory.",
                advice="Take one with dhat::Profiler::new_heap().",
                path=str(path),
            )
        return _convert(path, document)


def _convert(path: Path, document: dict[str, Any]) -> AllocationProfile:
    builder = ProfileBuilder(tuple(_FIELDS))
    frames = [builder.frame(_frame(text)) for text in document["ftbl"]]
    for point in document["pps"]:
        if min(point["fs"], default=0) < 0:
            raise IndexError("a negative frame index")
        values = {
            measure: (_whole(point[size]), _whole(point[count])) for measure, (size, count) in _FIELDS.items()
        }
        # dhat lists the innermost frame first
        builder.add(builder.stack(frames[index] for index in point["fs"]), values)
    unit = str(document.get("tu", ""))
    return builder.build(
        Origin(
            tool="dhat",
            runtime="rust" if str(document.get("mode", "")).startswith("rust") else "native",
            file=path.name,
            facts={
                "command_line": str(document.get("cmd", "")),
                "pid": document.get("pid"),
                "ended_after": f"{document.get('te')} {unit}",
                "peak_at": f"{document.get('tg')} {unit}",
            },
        )
    )


def _frame(text: str) -> Frame:
    match = _FRAME.match(text)
    if match is None:
        raise ValueError(f"the frame {text[:60]!r}")
    return Frame(match["function"], match["file"] or "", min(int(match["line"] or 0), 2**31 - 1))


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"the number {value!r}")
    return value


register(Loader("dhat", "dhat-rs, valgrind --tool=dhat", ("dhat-heap.json", ".dhat.json"), recognises, load))
