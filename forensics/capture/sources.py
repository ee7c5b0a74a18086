"""Where a program's own names are defined, filled and emptied, and where it calls DynamoDB: read from its source.

At capture time the target's application files are read through ``/proc/PID/root`` and parsed, never imported or run.
The table lets a finding name the line of definition and the line that fills a holder where the source is not at hand.
A file that is huge, unreadable, not Python or hostile is left out; nothing here raises because of what a file holds.

=======  ========  ==========================================================================================
column   type      meaning
=======  ========  ==========================================================================================
module   string    the module's name in the target
file     string    its path as the target sees it
scope    string    qualified name of the class or function the line stands in, ``""`` at module level
name     string    the last name of what is defined, filled or emptied (``exports`` of ``app.state.exports``); the
                   method of a call
kind     string    ``define``, ``fill``, ``clear`` or ``call``
line     int32     1-based
text     string    the source line, stripped
detail   string    the whole expression and what is done to it; of a call the operation and what it names
=======  ========  ==========================================================================================
"""

from __future__ import annotations

import ast
import io
import os
import re
import stat
import time
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from forensics import arrow
from forensics.capture.source_lines import Constants, Line, LinesOf, constants_of

SCHEMA = pa.schema(
    [
        ("module", pa.string()),
        ("file", pa.string()),
        ("scope", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("line", pa.int32()),
        ("text", pa.string()),
        ("detail", pa.string()),
    ]
)
#: What a hostile or merely enormous program may cost at most.
MAX_FILE_BYTES = 1 << 20
MAX_FILES = 2_000
MAX_ROWS = 100_000
MAX_SECONDS = 10.0
MAX_TEXT = 200

#: Installed packages and the standard library (``…/lib/python3.11/json/decoder.py``).
_NOT_APPLICATION = re.compile(r"/(?:site|dist)-packages/|/lib(?:64)?/python3(?:\.\d+)?t?/|\.zip/|^<")
#: ``package.module:application``, as servers take it.
_TARGET = re.compile(r"([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)*:[A-Za-z_][\w.]*(?:\(\))?")
_SERVERS = frozenset(
    (
        "uvicorn",
        "gunicorn",
        "hypercorn",
        "granian",
        "daphne",
        "waitress",
        "flask",
        "fastapi",
        "celery",
        "ddtrace",
    )
)
_OURS = ("forensics", "_forensics_agent")
_MAX_LINKS = 40


@dataclass(frozen=True)
class _Source:
    module: str
    file: str
    lines: list[str]
    tree: ast.Module


def index(pid_root: Path, modules: Iterable[tuple[str, str]], own: frozenset[str] = frozenset()) -> pa.Table:
    """Index the application's source.

    Parameters
    ----------
    pid_root : what the target sees as ``/``, for example ``/proc/PID/root``; links are followed below it only.
    modules : (name, file) of the target's imported modules.
    own : packages that are the application although they are installed; see ``started``.

    Returns
    -------
    A table with ``SCHEMA``, by file and line; empty where there is nothing to read.
    """
    deadline = time.monotonic() + MAX_SECONDS
    sources = []
    for module, file in application_files(modules, own):
        if time.monotonic() > deadline:
            break
        source = _read(pid_root, module, file)
        if source is not None:
            sources.append(source)
    constants = Constants([constants_of(source.tree) for source in sources])
    rows: list[tuple[_Source, Line]] = []
    for source in sources:
        if time.monotonic() > deadline or len(rows) >= MAX_ROWS:
            break
        try:
            found = LinesOf(source.tree, constants).lines
        except (RecursionError, MemoryError):
            continue
        rows.extend((source, line) for line in found[: MAX_ROWS - len(rows)])
    return _table(rows)


def started(command_line: Sequence[str]) -> frozenset[str]:
    """The top-level packages that a command line starts: ``uvicorn shop.app:app``, ``python -m shop``.

    Container images install the application like a library: nothing else tells it from one.
    """
    named = {match[1] for word in command_line if (match := _TARGET.fullmatch(word))}
    interpreter = command_line[0].rpartition("/")[2] if command_line else ""
    if interpreter.startswith("python") and "-m" in command_line[:-1]:
        named.add(command_line[list(command_line).index("-m") + 1].partition(".")[0])
    return frozenset(named) - _SERVERS


def application_files(
    modules: Iterable[tuple[str, str]], own: frozenset[str] = frozenset()
) -> list[tuple[str, str]]:
    """The modules that are neither the standard library's nor installed nor ours, each file once, by name.

    Of what is installed those of the packages ``own``.
    """
    found: dict[str, str] = {}
    for module, file in modules:
        ours = module.split(".")[0] in _OURS and not module.startswith("forensics.specimens.")
        mine = "-packages/" in file and _package_of(module, file) in own
        installed = _NOT_APPLICATION.search(file) and not mine
        if file.endswith(".py") and file.startswith("/") and not ours and not installed:
            found.setdefault(file, module)
    return sorted((module, file) for file, module in found.items())[:MAX_FILES]


def _package_of(module: str, file: str) -> str:
    """The top-level package of an installed module; of ``__main__`` the one whose folder it lies in."""
    if module != "__main__":
        return module.partition(".")[0]
    return re.split(r"/(?:site|dist)-packages/", file)[-1].partition("/")[0]


def _read(root: Path, module: str, file: str) -> _Source | None:
    try:
        raw = content(root, file)
        if raw is None:
            return None
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        text = raw.decode(encoding)
        return _Source(module, file, text.splitlines(), ast.parse(text))
    except (OSError, SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return None  # gone, not text, not Python, or made to hurt: the capture goes on without it


def content(root: Path, file: str) -> bytes | None:
    """The content of a regular file of bearable size below ``root``, else None."""
    path = _below(root, file)
    if path is None:
        return None
    # O_NONBLOCK: opening a FIFO that somebody put there must not wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_FILE_BYTES:
            return None
        raw = stream.read(MAX_FILE_BYTES + 1)
    return raw if len(raw) <= MAX_FILE_BYTES else None


def _below(root: Path, file: str) -> Path | None:
    """Where ``file`` really lies below ``root``: the target's absolute links start at its root, not at ours."""
    todo = [part for part in reversed(file.split("/")) if part not in ("", ".")]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            del done[-1:]
            continue
        step = root.joinpath(*done, part)
        if step.is_symlink():
            links += 1
            if links > _MAX_LINKS:
                return None
            target = os.readlink(step)
            if target.startswith("/"):
                done.clear()
            todo.extend(each for each in reversed(target.split("/")) if each not in ("", "."))
        else:
            done.append(part)
    return root.joinpath(*done)


def _table(rows: list[tuple[_Source, Line]]) -> pa.Table:
    def text(source: _Source, line: Line) -> str:
        return source.lines[line.line - 1].strip()[:MAX_TEXT] if 0 < line.line <= len(source.lines) else ""

    columns: dict[str, Sequence[object]] = {
        "module": [source.module for source, _ in rows],
        "file": [source.file for source, _ in rows],
        "scope": [line.scope for _, line in rows],
        "name": [line.name for _, line in rows],
        "kind": [line.kind for _, line in rows],
        "line": [line.line for _, line in rows],
        "text": [text(source, line) for source, line in rows],
        "detail": [line.detail[:MAX_TEXT] for _, line in rows],
    }
    return arrow.table(columns, SCHEMA)
