"""Where in the program a holder is defined, filled and emptied."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from forensics.dynamodb import code
from forensics.dynamodb.code import Function
from forensics.heap.graph import HeapGraph
from forensics.heap.javascript import is_node


@dataclass(frozen=True)
class Line:
    """A line of the program: where a holder is defined, filled or emptied; ``bounds`` if that keeps it small."""

    file: str
    line: int | None
    text: str = ""
    scope: str = ""
    bounds: bool = False

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}  {self.text}" if self.text else place


#: Methods that put something into a container, and those that take something out.
FILLING = frozenset(
    "append add extend insert setdefault update put put_nowait appendleft __setitem__ set".split()
)
EMPTYING = frozenset(
    "clear pop popitem popleft remove discard get_nowait cache_clear evict expire __delitem__".split()
)
#: Kinds whose code is the function itself.
_OWN_CODE = ("frame-local", "task", "generator", "closure", "function-default", "cache")


def name_of(path: str) -> str:
    """The variable or attribute that a path ends in: ``PAGES`` of ``orders.db.PAGES['k'][0]``."""
    bare = re.sub(r"\[[^\]]*\]", "", re.sub(r"\([^()]*\)", "", path)).partition(" at ")[0]
    bare = re.sub(r"\.(__defaults__|__kwdefaults__|cache)$", "", bare)
    names = re.findall(r"[A-Za-z_]\w*", bare)
    return names[-1] if names else ""


def module_of(path: str, graph: HeapGraph) -> tuple[str, str | None]:
    """The longest module name that ``path`` begins with, and its file where the heap tells."""
    parts = re.sub(r"[\[(\s].*", "", path).split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        file = code.module_file(graph, module)
        if file is not None:
            return module, file
    return "", None


def users_of(graph: HeapGraph, path: str, kind: str) -> tuple[Function, ...]:
    """The program's functions that touch the holder."""
    if is_node(graph):
        return ()
    name = name_of(path)
    if kind == "unreachable-cycle":
        # Nobody's variable: the methods of the class whose objects form the cycle.
        return tuple(each for each in code.functions(graph) if name and each.qualname.split(".")[0] == name)
    _, file = module_of(path, graph)
    found = list(code.using(graph, name, file if kind == "module-variable" else None)) if name else []
    if kind in _OWN_CODE or not found:
        words = set(re.findall(r"[A-Za-z_]\w*", path))
        own = [each for each in code.functions(graph) if each.name in words and each.name != name]
        found = [*found, *(each for each in own if each not in found)]
    if kind == "module-variable" and file is not None:
        # Other modules reach it as ``module.NAME`` or by import: those that name it come after its own.
        found += [each for each in code.using(graph, name) if each not in found]
    return tuple(found)


def lines_of(
    graph: HeapGraph, path: str, kind: str, users: tuple[Function, ...], sources: pd.DataFrame | None
) -> tuple[Line | None, tuple[Line, ...], tuple[Line, ...]]:
    """The line of definition, the lines that fill and those that empty the holder.

    From ``sources`` where the capture has them; otherwise from code objects, which know the file and the first
    line of a function but not of an assignment.
    """
    name = name_of(path)
    if is_node(graph):
        return _lines_of_script(path, name, sources)
    module, file = module_of(path, graph)
    if sources is not None and len(sources) and name:
        rows = _of_path(sources, path, kind, name, module)
        defined, filled, emptied = (
            _lines(rows[rows["kind"] == each]) for each in ("define", "fill", "clear")
        )
        if defined or filled:
            return (defined or filled)[0], filled, emptied
    filling = tuple(
        Line(each.file, each.line, f"{each.qualname}()") for each in users if each.names & FILLING
    )
    emptying = tuple(
        Line(each.file, each.line, f"{each.qualname}()") for each in users if each.names & EMPTYING
    )
    if (kind in _OWN_CODE or kind == "unreachable-cycle") and users:
        return (
            Line(users[0].file, users[0].line, f"{users[0].qualname}()"),
            filling or _first(users),
            emptying,
        )
    if file is not None and code.is_application(file):
        return Line(file, None), filling or _first(users), emptying
    return (Line(users[0].file, users[0].line) if users else None), filling or _first(users), emptying


_SCRIPT = re.compile(r"([^\s(]+\.[cm]?[jt]sx?)(?::(\d+)\))?")


def script_of(path: str) -> tuple[str, int | None]:
    """The script that a path of JavaScript names, and the line of the closure in it: ``("bus.js", 8)``."""
    match = _SCRIPT.search(path)
    return (match[1], int(match[2]) if match[2] else None) if match else ("", None)


def variable_of(path: str) -> str:
    """The variable that a path of JavaScript begins with: ``responses`` of ``api.js · responses.get('k')``."""
    match = re.match(r"[#$\w]+", path.rpartition(" · ")[2])
    return match[0] if match else ""


def _lines_of_script(
    path: str, name: str, sources: pd.DataFrame | None
) -> tuple[Line | None, tuple[Line, ...], tuple[Line, ...]]:
    """The same for JavaScript: by the script that the path names, then by the names of the holder."""
    script, line = script_of(path)
    if sources is None or not len(sources):
        return (Line(script, line) if script else None), (), ()
    here = sources[sources["file"].str.endswith(("/" + script) if script else "")]
    names = list(dict.fromkeys((name, variable_of(path))))
    found = {
        kind: next(
            (rows for each in names if len(rows := here[(here["kind"] == kind) & (here["name"] == each)])),
            here.iloc[:0],
        )
        for kind in ("define", "fill", "clear")
    }
    defined, filled, emptied = (_lines(found[kind]) for kind in ("define", "fill", "clear"))
    if line is not None:
        # A closure is made where it is written: that is the line to change.
        file = str(here["file"].iloc[0]) if len(here) else script
        return Line(file, line), filled or defined, emptied
    known = defined or filled
    file = str(here["file"].iloc[0]) if len(here) and script else script
    return (known[0] if known else Line(file, None) if file else None), filled, emptied


def clients_made(sources: pd.DataFrame | None) -> tuple[Line, ...]:
    """The lines of functions of JavaScript that make a client; those of a module run once."""
    if sources is None or not len(sources):
        return ()
    return _lines(sources[(sources["kind"] == "client") & (sources["scope"].fillna("") != "")])


def _of_path(sources: pd.DataFrame, path: str, kind: str, name: str, module: str) -> pd.DataFrame:
    """The rows that speak of this holder: by name, then narrowed by module and scope as far as rows are left."""
    rows = sources[sources["name"] == name]
    scopes = rows["scope"].fillna("")
    words = set(re.findall(r"[A-Za-z_]\w*", path)) - {name}
    inside = scopes.map(lambda scope: bool(words & set(scope.replace("<locals>", "").split(".")))).astype(
        bool
    )
    definitions = rows["kind"] == "define"
    if kind in _OWN_CODE and inside.any():
        return rows[inside]
    if module and (rows["module"] == module).any():
        # Definitions in the holder's own module; it may be filled from others.
        rows = rows[(rows["module"] == module) | ~definitions]
        definitions, scopes = rows["kind"] == "define", rows["scope"].fillna("")
    if kind == "module-variable" and (definitions & (scopes == "")).any():
        return rows[~definitions | (scopes == "")]
    inside = inside.reindex(rows.index)
    if kind == "class-attribute" and (definitions & inside).any():
        return rows[~definitions | inside]
    return rows


def _first(users: tuple[Function, ...]) -> tuple[Line, ...]:
    return tuple(Line(each.file, each.line, f"{each.qualname}()") for each in users[:2])


#: How the index of sources says that a line keeps a container from growing (``capture.source_lines``).
_BOUNDS = re.compile(r"when it is too large$|\b(maxlen|maxsize|max_size|ttl|capacity)=")


def _lines(rows: pd.DataFrame) -> tuple[Line, ...]:
    return tuple(
        Line(
            str(row.file),
            int(row.line),
            str(row.text or ""),
            str(row.scope or ""),
            row.kind == "clear" and _BOUNDS.search(str(row.detail or "")) is not None,
        )
        for row in rows.sort_values("line").itertuples()
    )
