"""The program's own functions as a heap shows them: names they use, constants they hold, where they stand.

A code object keeps ``co_names`` (globals and attributes), ``co_consts`` and the names of its locals; these are kept
by masking, so they tell which functions touch a variable and which calls they make.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from forensics.agent.stream import EdgeKind
from forensics.heap.graph import HeapGraph

_STORED = "forensics.dynamodb.code"
#: Not the program's own: installed packages, the standard library, what has no file, our own agent.
_FOREIGN = re.compile(
    r"[/\\](site|dist)-packages[/\\]|[/\\]lib[/\\]python3[^/\\]*[/\\]|^<|[/\\]forensics[/\\](agent|tracing\.py)"
    r"|[/\\]_?forensics_agent[/\\]|[/\\]node_modules[/\\]|^node:"
)
#: Files of ours that a service may be written in all the same.
_OURS = re.compile(r"[/\\]forensics[/\\]specimens[/\\]")


def is_application(file: str | None) -> bool:
    """Whether a file belongs to the program and not to a library, the interpreter or this toolkit."""
    return bool(file) and (bool(_OURS.search(file or "")) or not _FOREIGN.search(file or ""))


@dataclass(frozen=True)
class Function:
    """One code object of the program."""

    object: int
    qualname: str
    file: str
    line: int
    names: frozenset[str]
    local_names: frozenset[str]
    constants: tuple[str, ...]

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.qualname.rpartition(".")[2]

    @property
    def place(self) -> str:
        """``file:line function`` for evidence."""
        return f"{self.file}:{self.line} {self.qualname}()"

    def uses(self, name: str) -> bool:
        """Whether it names a global, attribute, local or free variable ``name``."""
        return name in self.names or name in self.local_names


def functions(graph: HeapGraph) -> tuple[Function, ...]:
    """The program's own code objects; kept with the graph."""
    if _STORED not in graph._memo:
        graph._memo[_STORED] = tuple(_functions(graph))
    return graph._memo[_STORED]


def _functions(graph: HeapGraph) -> list[Function]:
    found = []
    rows = graph.code.to_pydict()
    for i, qualname, file, line in zip(
        rows["object"], rows["qualname"], rows["file"], rows["first_line"], strict=True
    ):
        if is_application(file) and 0 <= i < len(graph):
            names, local_names, constants = _texts_of_code(graph, i)
            found.append(
                Function(
                    i,
                    qualname or "",
                    file,
                    int(line or 0),
                    frozenset(names),
                    frozenset(local_names),
                    constants,
                )
            )
    return found


def _texts_of_code(graph: HeapGraph, i: int) -> tuple[set[str], set[str], tuple[str, ...]]:
    names: set[str] = set()
    local_names: set[str] = set()
    constants: list[str] = []
    for edge in graph.edges_of(i):
        slot = graph.label_text(edge) if edge.kind in (EdgeKind.SLOT, EdgeKind.INTERNAL) else "co_consts"
        texts = _texts_below(graph, edge.target)
        if slot == "co_names":
            names.update(texts)
        elif slot in ("co_localsplusnames", "co_varnames", "co_freevars", "co_cellvars"):
            local_names.update(texts)
        elif slot == "co_consts":
            constants.extend(texts)
    return names, local_names, tuple(dict.fromkeys(constants))


def _texts_below(graph: HeapGraph, i: int, depth: int = 2) -> list[str]:
    """The kept texts of a str, or of the strs in a tuple of (tuples of) them, in order."""
    text = graph.text(i)
    if text is not None:
        return [text]
    if depth == 0 or graph.type_name(i) not in ("tuple", "frozenset"):
        return []
    targets = graph.targets[graph.offsets[i] : graph.offsets[i + 1]]
    return [text for target in targets.tolist() for text in _texts_below(graph, target, depth - 1)]


def using(graph: HeapGraph, name: str, file: str | None = None) -> tuple[Function, ...]:
    """The program's functions that name ``name``, those of ``file`` first where it is given."""
    users = [each for each in functions(graph) if each.uses(name)]
    if file is not None and any(each.file == file for each in users):
        users = [each for each in users if each.file == file]
    return tuple(users)


def callers(graph: HeapGraph, users: tuple[Function, ...]) -> tuple[Function, ...]:
    """The program's functions that name one of these functions; none of ``users`` itself."""
    wanted = {each.name for each in users if not each.name.startswith("<")}
    objects = {each.object for each in users}
    return tuple(
        each
        for each in functions(graph)
        if each.object not in objects and (each.names & wanted or each.local_names & wanted)
    )


def callees(graph: HeapGraph, users: tuple[Function, ...]) -> tuple[Function, ...]:
    """The program's functions that one of these functions names; none of ``users`` itself."""
    wanted: set[str] = set()
    for each in users:
        wanted |= each.names | each.local_names
    objects = {each.object for each in users}
    return tuple(
        each
        for each in functions(graph)
        if each.object not in objects and each.name in wanted and not each.name.startswith("__")
    )


def module_file(graph: HeapGraph, module: str) -> str | None:
    """``__file__`` of a module by its name in ``sys.modules``, None where the heap does not tell."""
    files: dict[str, str | None] = graph._once("forensics.dynamodb.module files", dict)
    if module not in files:
        files[module] = _module_file(graph, module)
    return files[module]


def _module_file(graph: HeapGraph, module: str) -> str | None:
    for known in graph._once("forensics.dynamodb.root dicts", lambda: _root_dicts(graph)):
        child = known.get(module)
        if child is not None:
            file = graph.children_by_key(child).get("__file__")
            if file is None:
                inner = graph.children_by_key(child).get("__dict__")
                file = graph.children_by_key(inner).get("__file__") if inner is not None else None
            return graph.text(file) if file is not None else None
    return None


def _root_dicts(graph: HeapGraph) -> list[dict[str, int]]:
    roots = graph.root_objects.tolist()
    return [graph.children_by_key(root) for root in roots if graph.type_name(root) == "dict"]


def table_names(graph: HeapGraph) -> frozenset[str]:
    """Names of tables that the heap holds outright: of Table resources and in request parameters."""
    found: set[str] = set()
    wanted = ("TableName", "_name", "name")
    tables = [
        number
        for number, type_name in enumerate(graph.type_names.to_pylist())
        if type_name.endswith("dynamodb.Table")
    ]
    for i in np.flatnonzero(np.isin(graph.types, tables))[:200].tolist():
        for name, child in graph.children_by_key(i).items():
            if name in wanted and (text := graph.text(child)):
                found.add(text)
    strings = graph.strings.to_pylist()
    if "TableName" in strings:
        at = {k for k, text in enumerate(strings) if text == "TableName"}
        keys = np.flatnonzero(np.isin(graph.texts, list(at)))
        edges = np.flatnonzero((graph.kinds == EdgeKind.KEY) & np.isin(graph.labels, keys))
        for target in np.unique(graph.targets[edges])[:200].tolist():
            if (text := graph.text(target)) and graph.type_name(target) == "str":
                found.add(text)
    return frozenset(found)
