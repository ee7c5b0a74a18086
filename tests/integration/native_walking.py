"""Walkers built for the interpreters of this machine, and streams read from programs that run in them."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics.agent.native import build
from forensics.agent.stream import KIND_SHIFT, LABEL_MASK, EdgeKind
from forensics.capture.masking import decode
from forensics.capture.reader import EDGE, RawSnapshot, read_stream
from tests.integration.running import interpreters

PROGRAMS = Path(__file__).parent / "native_programs"


def native_interpreters() -> dict[str, str]:
    """Those that a native walker can be for; ``FORENSICS_TEST_PYTHONS`` (colon separated) names more of them."""
    found = dict(interpreters())
    for more in filter(None, os.environ.get("FORENSICS_TEST_PYTHONS", "").split(":")):
        found[build.describe(more)["version"]] = more
    headers = {version: path for version, path in found.items() if _has_headers(path)}
    return {v: p for v, p in headers.items() if tuple(map(int, v.split(".")[:2])) >= (3, 11)}


def _has_headers(executable: str) -> bool:
    return (Path(build.describe(executable)["include"]) / "patchlevel.h").is_file()


#: Not the user's cache: what the tests load is what they built.
_BUILT = Path(tempfile.mkdtemp(prefix="forensics-walkers-"))
atexit.register(shutil.rmtree, _BUILT, ignore_errors=True)

INTERPRETERS = native_interpreters()
each_interpreter = pytest.mark.parametrize("interpreter", INTERPRETERS.values(), ids=list(INTERPRETERS))


@functools.cache
def walker_path(interpreter: str) -> str:
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("a C compiler is not installed; apt-get install gcc")
    return str(build.walker_for(interpreter, folder=_BUILT))


@dataclass
class Walked:
    """One stream in columns, and what the program that was walked said of itself."""

    raw: RawSnapshot
    said: dict[str, Any]

    def __post_init__(self) -> None:
        self.edges = np.concatenate([np.empty(0, EDGE), *(edges for _, edges in self.raw.edges.slices())])
        self.addresses = self.raw.columns["address"]
        self.index = {int(address): i for i, address in enumerate(self.addresses)}
        self.first = np.concatenate(([0], np.cumsum(self.raw.columns["degree"].astype(np.int64))))

    def type_of(self, address: int) -> str:
        return self.raw.type_names[int(self.raw.columns["type"][self.index[address]])]

    def column(self, name: str, address: int) -> int:
        return int(self.raw.columns[name][self.index[address]])

    def edges_of(self, address: int) -> list[tuple[EdgeKind, int | str, int]]:
        """(kind, label, target); names of slots as text, all other labels as numbers."""
        i = self.index[address]
        found: list[tuple[EdgeKind, int | str, int]] = []
        for target, label in self.edges[self.first[i] : self.first[i + 1]].tolist():
            kind, number = EdgeKind(label >> KIND_SHIFT), label & LABEL_MASK
            by_name = kind in (EdgeKind.SLOT, EdgeKind.INTERNAL)
            found.append((kind, self.raw.strings.get(number, "") if by_name else number, target))
        return found

    def named(self, address: int, kind: EdgeKind, name: str) -> int:
        """The target of the one edge of that kind and name; names are looked up among the values."""
        matching = [
            target
            for k, label, target in self.edges_of(address)
            if k == kind and (label if isinstance(label, str) else self.text(label)) == name
        ]
        assert len(matching) == 1, (name, kind, [(k.name, x) for k, x, _ in self.edges_of(address)])
        return matching[0]

    def items(self, address: int, kind: EdgeKind = EdgeKind.ITEM) -> list[int]:
        ordered = sorted((label, target) for k, label, target in self.edges_of(address) if k == kind)
        assert [label for label, _ in ordered] == list(range(len(ordered)))
        return [target for _, target in ordered]

    def text(self, address: int) -> str | None:
        return self.texts.get(address)

    @functools.cached_property
    def texts(self) -> dict[int, str]:
        return texts_of(self.raw)


def texts_of(raw: RawSnapshot) -> dict[int, str]:
    """Address -> text of each value that was kept."""
    address, kind, start, size = (
        raw.values.rows.column(name) for name in ("address", "kind", "start", "size")
    )
    kept = raw.values.texts.whole()
    rows = zip(address.tolist(), kind.tolist(), start.tolist(), size.tolist(), strict=True)
    return {at: decode(kept[begin : begin + n], k) for at, k, begin, n in rows if begin >= 0}


def start(program: str, interpreter: str, *arguments: str, **options: Any):
    """Start a program of ours with the walker for its interpreter and one end of a socket; returns both."""
    ours, theirs = socket.socketpair()
    command = [
        interpreter,
        str(PROGRAMS / program),
        walker_path(interpreter),
        str(theirs.fileno()),
        *arguments,
    ]
    process = subprocess.Popen(
        command,
        pass_fds=[theirs.fileno()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    theirs.close()
    return process, ours


def walk(program: str, interpreter: str = sys.executable, *arguments: str) -> Walked:
    process, ours = start(program, interpreter, *arguments)
    with process, ours:
        try:
            raw = read_stream(ours.recv, keep_values=True)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, err
    return Walked(raw, json.loads(out))
