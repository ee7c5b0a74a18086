"""Names for addresses: a pprof profile of addresses becomes one of functions, with binutils' ``addr2line``.

The place of an address in its file follows from the profile's mappings, or from those of the live process; inlined
frames are kept, as ``pprof -symbolize`` keeps them.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forensics.errors import FormatError
from forensics.formats.bounded import read_bounded
from forensics.formats.rust_names import is_rust, whole_names
from forensics.profiles.model import AllocationProfile

#: addr2line reads the debugging information of a large program in some seconds
_SECONDS = 120.0
_HASH = re.compile(r"::h[0-9a-f]{16}(?=$|>)")

Lines = Sequence[tuple[str, str, int]]


def needed(profile: AllocationProfile) -> bool:
    """Whether a profile holds addresses where functions should stand."""
    names = profile.frames.function.to_pylist()
    bare = sum(name.startswith("0x") for name in names)
    return profile.origin.stacks_are == "allocations" and bare > len(names) / 2


def symbolise(path: Path, pid: int) -> str | None:
    """Rewrite a pprof profile in place with the names of the live process ``pid``'s program.

    Returns
    -------
    what named them ("GNU addr2line …"), or None where it is not installed: the profile then stays as it is.
    """
    tool = shutil.which("addr2line")
    if tool is None:
        return None
    from forensics.formats.pprof_schema import Profile

    profile = Profile.FromString(read_bounded(path, limit=64 << 20))
    found = _names(tool, pid, sorted({each.address for each in profile.location if not each.line}))
    if not found:
        return None
    _write(profile, found)
    path.write_bytes(gzip.compress(profile.SerializeToString(), mtime=0))
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout
    return version.splitlines()[0] if version else "addr2line"


def _names(tool: str, pid: int, addresses: Sequence[int]) -> dict[int, Lines]:
    """The frames of each address of the program itself, innermost first."""
    executable = os.readlink(f"/proc/{pid}/exe")
    base, spans = loaded_at(pid)
    extent = max((end for _, end in spans), default=base) - base
    # jemalloc_pprof writes addresses as they stand in the file, others as they stood in memory.
    in_file = {each: each if each < extent else each - base for each in addresses}
    inside = [each for each in addresses if 0 < in_file[each] < extent]
    if not inside:
        return {}
    # A return address is the instruction after the call: one less lies in the call itself.
    done = subprocess.run(
        [tool, "-e", f"/proc/{pid}/exe", "-f", "-i", "-C", "-a"],
        input="\n".join(hex(in_file[each] - 1) for each in inside) + "\n",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )
    answers = _parse(done.stdout)
    if len(answers) != len(inside):
        raise FormatError(
            f"addr2line was asked for {len(inside)} addresses of {executable} and answered for {len(answers)}: "
            f"{done.stderr.strip()[:200]}.",
            advice="See that the program still lies where it was started from, with its debugging information.",
        )
    rust = is_rust(answers)
    return {
        address: whole_names(lines) if rust else lines
        for address, lines in zip(inside, answers, strict=True)
        if any(name != "??" for name, _, _ in lines)
    }


def _parse(output: str) -> list[Lines]:
    """addr2line -a -f -i: an address, then a function and a place for each frame, innermost first."""
    answers: list[list[tuple[str, str, int]]] = []
    function: str | None = None
    for line in output.splitlines():
        if line.startswith("0x") and function is None:
            answers.append([])
        elif function is None:
            function = _HASH.sub("", line)
        else:
            file, _, number = line.split(" (discriminator")[0].rpartition(":")
            answers[-1].append(
                (function, "" if file == "??" else file, int(number) if number.isdigit() else 0)
            )
            function = None
    return [tuple(each) for each in answers]


def loaded_at(pid: int) -> tuple[int, list[tuple[int, int]]]:
    """(what to take off an address of ``pid``'s program to get that in the file, the spans of its mappings)."""
    executable = os.readlink(f"/proc/{pid}/exe")
    spans: list[tuple[int, int]] = []
    base = 0
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            parts = line.rstrip("\n").split(None, 5)
            if len(parts) == 6 and parts[5] == executable:
                start, end = (int(each, 16) for each in parts[0].split("-"))
                if not spans:
                    base = start - int(parts[2], 16)
                spans.append((start, end))
    with open(f"/proc/{pid}/exe", "rb") as file:
        head = file.read(18)
    position_independent = head[16:18] == b"\x03\x00"
    return (base if position_independent else 0), spans


def _write(profile: Any, found: Mapping[int, Lines]) -> None:
    texts = {text: position for position, text in enumerate(profile.string_table)}

    def text_id(text: str) -> int:
        if text not in texts:
            texts[text] = len(texts)
            profile.string_table.append(text)
        return texts[text]

    if not profile.string_table:
        profile.string_table.append("")
        texts[""] = 0
    functions: dict[tuple[str, str], int] = {}
    highest = max((each.id for each in profile.function), default=0)
    for location in profile.location:
        for name, file, line in found.get(location.address, ()) if not location.line else ():
            if (name, file) not in functions:
                highest += 1
                functions[name, file] = highest
                profile.function.add(id=highest, name=text_id(name), filename=text_id(file))
            location.line.add(function_id=functions[name, file], line=line)
