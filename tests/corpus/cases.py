"""The cases of the corpus: one small service each, its expectations in its module docstring.

A docstring ends with ``key: value`` lines. How it runs::

    run: uvicorn | worker        a FastAPI/Starlette ``app``, or a program that takes one job per line of its input
    drive: GET /path/{n}         what one tick asks of the web service; {n} counts, {customer} cycles through c00…c59
    ticks: 30                    ticks between two snapshots
    warm: 30                     ticks before the first snapshot (default: as many as ``ticks``)

and, unless it is a control, what must be found; ``---`` begins the expectations of a second finding::

    rule: L03 L01                one of these
    holder: orders_cache.RESPONSES          the retainer's path (``none``: there is no place that holds it)
    holder also: pages | trail   one of these words must stand in it; the path then need only contain ``holder``
    retainer: module-variable    one of these kinds
    kind: response items         one of these kinds of DynamoDB data (``none``: it is not DynamoDB's)
    operation: Query
    table: Orders
    call site: orders_of         with the tracer, the function named as the one that fetched it (``none``: not asked)
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

SERVICES = Path(__file__).parent / "services"


@dataclass(frozen=True)
class Expected:
    """One finding that a case must raise."""

    rules: tuple[str, ...]
    holder: str | None
    words: tuple[str, ...]
    retainers: tuple[str, ...]
    kinds: tuple[str, ...] | None
    operation: str | None
    table: str | None
    call_sites: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One service of the corpus."""

    name: str
    file: Path
    run: str
    drive: str
    ticks: int
    warm: int
    expected: tuple[Expected, ...]

    @property
    def control(self) -> bool:
        """Whether nothing above ``info`` may be found."""
        return not self.expected

    def lines_of(self, function: str) -> range:
        """The lines of the function with this qualified name (``<locals>`` left out or not)."""
        wanted = function.replace(".<locals>", "")
        for qualname, node in _functions(ast.parse(self.file.read_text()), ""):
            if qualname == wanted:
                return range(node.lineno, (node.end_lineno or node.lineno) + 1)
        raise LookupError(f"{self.file.name} has no function {function}")


def _functions(node: ast.AST, prefix: str):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _none_is_none(text: str | None) -> str | None:
    return None if text in (None, "none") else text


def _expected(fields: dict[str, str]) -> Expected:
    kinds = _none_is_none(fields.get("kind"))
    sites = _none_is_none(fields.get("call site"))
    return Expected(
        rules=_words(fields["rule"]),
        holder=_none_is_none(fields.get("holder")),
        words=tuple(word.strip() for word in fields["holder also"].split("|"))
        if "holder also" in fields
        else (),
        retainers=_words(fields["retainer"]),
        kinds=_words(kinds) if kinds else None,
        operation=_none_is_none(fields.get("operation")),
        table=_none_is_none(fields.get("table")),
        call_sites=_words(sites) if sites else (),
    )


def _case(file: Path) -> Case:
    docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
    parts: list[dict[str, str]] = [{}]
    for line in docstring.split("\n\n")[-1].splitlines():
        if line == "---":
            parts.append({})
        else:
            key, _, value = line.partition(": ")
            parts[-1][key] = value.strip()
    first = parts[0]
    ticks = int(first.get("ticks", 30))
    return Case(
        name=file.stem,
        file=file,
        run=first["run"],
        drive=first.get("drive", ""),
        ticks=ticks,
        warm=int(first.get("warm", ticks)),
        expected=tuple(_expected(fields) for fields in parts if "rule" in fields),
    )


def cases() -> list[Case]:
    """Every case, by name."""
    return [_case(file) for file in sorted(SERVICES.glob("*.py"))]
