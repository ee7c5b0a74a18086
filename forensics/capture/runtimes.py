"""What a process is made of: its runtime and that runtime's version, told from its executable and its libraries.

Nothing of the process is run for this. Python: the library's name and the constant in it; Node: the release's address
that every official build carries; Go: the build information block (``debug/buildinfo``); Rust: the compiler's name in
``.comment``.
"""

from __future__ import annotations

import mmap
import os
import re
from dataclasses import dataclass

from forensics.capture.memory import mappings

_PYTHON = re.compile(r"(?:lib)?python(\d)\.(\d+)(t?)(?:\.so[.\d]*)?$")
_NODE = re.compile(rb"https://nodejs\.org/download/\w+/v(\d+\.\d+\.\d+[\w.-]*?)/")
_RUST = re.compile(rb"rustc version (\d+\.\d+\.\d+)")
_GO_MAGIC = b"\xff Go buildinf:"
_LARGEST = 400 << 20


@dataclass(frozen=True)
class Runtime:
    """``name`` is python, node, go, rust or other; ``version`` may be empty; ``library`` is the target's own path."""

    name: str
    version: str = ""
    library: str = ""


OTHER = Runtime("other")


def runtime_of(pid: int) -> Runtime:
    """The runtime of process ``pid``.

    Raises
    ------
    OSError : the process is gone, or its files are not ours to look at.
    """
    executable = os.readlink(f"/proc/{pid}/exe")
    return _python(pid, executable) or _other(pid, executable) or OTHER


def _python(pid: int, executable: str) -> Runtime | None:
    paths = dict.fromkeys(
        each.path for each in mappings(pid) if each.path.startswith("/") and each.executable
    )
    candidates = [path for path in paths if _python_name(path)]
    if not candidates:
        return None
    # libpython, where there is one, and not the small program that loads it.
    library = next((path for path in candidates if "/lib" in path and ".so" in path), candidates[0])
    match = _python_name(library)
    assert match is not None
    minor = f"{match[1]}.{match[2]}"
    return Runtime("python", (_python_version(pid, library, minor) or minor) + match[3], library)


def _python_name(path: str) -> re.Match[str] | None:
    return _PYTHON.match(os.path.basename(path.removesuffix(" (deleted)")))


def _python_version(pid: int, library: str, minor: str) -> str:
    """The full version, from the string constant ``PY_VERSION`` in the library."""
    pattern = rb"(?<![\w.])(" + re.escape(minor).encode() + rb"\.\d+(?:(?:a|b|rc)\d+)?\+?)\0"
    return _search(pid, library, pattern)


def _other(pid: int, executable: str) -> Runtime | None:
    name = os.path.basename(executable.removesuffix(" (deleted)"))
    if name in ("node", "nodejs"):
        return Runtime("node", _search(pid, executable, _NODE.pattern), executable)
    go = _go_version(pid, executable)
    if go:
        return Runtime("go", go, executable)
    rust = _search(pid, executable, _RUST.pattern)
    return Runtime("rust", rust, executable) if rust else None


def _go_version(pid: int, path: str) -> str:
    # Format: 16 bytes magic, pointer size and flags, padding to 32, then (flag 2) a varint length and the version.
    found = _search(pid, path, re.escape(_GO_MAGIC) + rb"[\s\S]{18}[\s\S](go[\w.\- ]{1,40})")
    return found.removeprefix("go").split(" ")[0]


def _search(pid: int, path: str, pattern: bytes) -> str:
    try:
        # The executable opens even where it was replaced since; libraries through the target's own root.
        own = os.readlink(f"/proc/{pid}/exe") == path
        file = f"/proc/{pid}/exe" if own else f"/proc/{pid}/root{path}"
        facts = os.stat(file)
    except OSError:
        return ""
    return _search_file(file, pattern, (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size))


_by_identity: dict[tuple[bytes, tuple[int, int, int, int]], str] = {}


def _search_file(file: str, pattern: bytes, identity: tuple[int, int, int, int]) -> str:
    """Search once for each file, however many processes run it."""
    key = (pattern, identity)
    if key not in _by_identity:
        too_large = identity[3] > _LARGEST
        _by_identity[key] = "" if too_large else _first_match(file, pattern)
    return _by_identity[key]


def _first_match(file: str, pattern: bytes) -> str:
    try:
        with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as contents:
            match = re.search(pattern, contents)
            return match[1].decode("ascii", "replace") if match else ""
    except (OSError, ValueError):
        return ""
