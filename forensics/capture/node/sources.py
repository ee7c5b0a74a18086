"""Where a JavaScript program's own names are defined, filled and emptied, and where it calls DynamoDB.

The rows of ``forensics.capture.sources`` for JavaScript and for TypeScript's output, by the line: not a parser, but
every pattern it looks for is written on one line by people and by formatters alike. Three kinds more: ``invoke`` (a
function that is called by that name), ``constant`` (a name that is given a text, which is the detail) and ``client``
(a client of DynamoDB is made). Files are read through ``/proc/PID/root``, never run.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from forensics.capture import sources as shared

_LIBRARY = re.compile(r"/node_modules/|^node:|^evalmachine|^internal/")
_SUFFIXES = (".js", ".cjs", ".mjs", ".ts", ".mts", ".cts", ".jsx", ".tsx")
_NAME = r"[A-Za-z_$][\w$]*"
_DEFINE = re.compile(rf"^\s*(?:export\s+)?(?:const|let|var)\s+({_NAME})\s*(?::[^=]+)?=")
_FIELD = re.compile(
    rf"^\s*(?:static\s+|readonly\s+|private\s+|public\s+)*#?({_NAME})\s*(?::[^=]+)?=\s*(?:new\s|\[|\{{)"
)
_ASSIGNED = re.compile(
    rf"(?:this|exports|module\.exports|globalThis|app\.locals|\w+\.locals)\.#?({_NAME})\s*(?:\?\?=|\|\|=|=)[^=]"
)
_FILL = re.compile(
    rf"#?({_NAME})\s*(?:\?\.|!?\.)(?:push|unshift|set|add|splice|concat|on|once|addListener|prependListener|enqueue)\("
)
_INDEXED = re.compile(rf"#?({_NAME})\[[^\]]+\]\s*(?:\?\?=|\|\|=|=)[^=]")
_CLEAR = re.compile(
    rf"#?({_NAME})(?:\.(?:delete|clear|shift|pop|splice|off|removeListener|removeAllListeners|destroy)\(|\.length\s*=[^=])"
)
_DELETE = re.compile(rf"delete\s+(?:{_NAME}\.)*#?({_NAME})\[")
_BOUND = re.compile(r"(?:\.size|\.length)\s*>=?|\bwhile\s*\(")
_COMMAND = re.compile(
    r"new\s+(?:\w+\.)?\w*?((?:Transact|Batch)?(?:Get|Query|Scan|Put|Update|Delete|Write|ExecuteStatement)(?:Items?)?)"
    r"(?:Command)?\(|\b(paginate(?:Query|Scan))\(|\.(getItem|query|scan|batchGetItem|batchGet|transactGetItems|putItem|"
    r"updateItem|deleteItem)\(\s*\{"
)
_RENAMED = re.compile(rf"(\w+Command|paginate\w+)\s*(?::|\sas\s)\s*({_NAME})")
_TABLE = re.compile(rf"TableName\s*:\s*(?:['\"`]([\w.-]{{3,255}})['\"`]|((?:{_NAME}\.)*{_NAME}))")
_FUNCTION = re.compile(
    rf"(?:function\s*\*?\s*({_NAME})\s*\(|(?:const|let|var)\s+({_NAME})\s*=\s*(?:async\s*)?(?:function|\([^)]*\)\s*=>|{_NAME}\s*=>)"
    rf"|^\s+(?:static\s+)?(?:async\s+)?\*?#?({_NAME})\s*\([^)]*\)\s*\{{|\.(?:get|post|put|delete|patch|use|all)\(\s*(['\"`][^'\"`]*['\"`]))"
)
_CLIENT = re.compile(r"new\s+(?:\w+\.)?(DynamoDB(?:Client|StreamsClient)?)\(")
_INVOKED = re.compile(rf"(?<!function )(?<!new )\b({_NAME})\(")
_CONSTANT = re.compile(
    rf"\b({_NAME})\s*[=:]\s*(?:process\.env\.\w+\s*(?:\|\||\?\?)\s*)?['\"`]([\w.-]{{3,255}})['\"`]\s*[,;}}]?\s*$"
)
_OPERATIONS = {
    "Get": "GetItem", "GetItem": "GetItem", "getItem": "GetItem", "Query": "Query", "query": "Query",
    "paginateQuery": "Query", "Scan": "Scan", "scan": "Scan", "paginateScan": "Scan",
    "BatchGet": "BatchGetItem", "BatchGetItem": "BatchGetItem", "batchGetItem": "BatchGetItem",
    "batchGet": "BatchGetItem", "TransactGet": "TransactGetItems", "TransactGetItems": "TransactGetItems",
    "transactGetItems": "TransactGetItems", "Put": "PutItem", "PutItem": "PutItem", "putItem": "PutItem",
    "Update": "UpdateItem", "UpdateItem": "UpdateItem", "updateItem": "UpdateItem", "Delete": "DeleteItem",
    "DeleteItem": "DeleteItem", "deleteItem": "DeleteItem", "BatchWrite": "BatchWriteItem",
    "BatchWriteItem": "BatchWriteItem", "TransactWrite": "TransactWriteItems",
    "TransactWriteItems": "TransactWriteItems", "ExecuteStatement": "ExecuteStatement",
    "BatchExecuteStatement": "BatchExecuteStatement",
}  # fmt: skip
#: A table may be named so many lines below the command it belongs to.
_NEAR = 6
#: The copy of ``forensics/tracing.cjs`` in a service is not the program's own.
_TRACER = b"\nclass ForensicsTag {"
_KEYWORDS = frozenset("if for while switch catch return function await new typeof else do".split())


@dataclass(frozen=True)
class _Row:
    file: str
    scope: str
    name: str
    kind: str
    line: int
    text: str
    detail: str


def index(root: Path, files: Iterable[str]) -> tuple[pa.Table, frozenset[str]]:
    """Index the program's own files.

    Parameters
    ----------
    root : what the target sees as ``/``
    files : as the process names its scripts, ``file://`` addresses among them

    Returns
    -------
    A table of ``forensics.capture.sources.SCHEMA``, and the names of properties that ``TableName`` is taken from.
    """
    deadline = time.monotonic() + shared.MAX_SECONDS
    rows: list[_Row] = []
    names: set[str] = set()
    for file in application_files(files):
        if time.monotonic() > deadline or len(rows) >= shared.MAX_ROWS:
            break
        try:
            raw = shared.content(root, file)
        except OSError:
            continue
        if raw is not None and _TRACER not in raw:
            lines = raw.decode("utf-8", "replace").splitlines()
            rows += _lines_of(file, lines)
            names |= {
                match[2].rpartition(".")[2] for line in lines for match in _TABLE.finditer(line) if match[2]
            }
    columns = {
        "module": [row.file.rpartition("/")[2] for row in rows],
        "file": [row.file for row in rows],
        "scope": [row.scope for row in rows],
        "name": [row.name for row in rows],
        "kind": [row.kind for row in rows],
        "line": [row.line for row in rows],
        "text": [row.text[: shared.MAX_TEXT] for row in rows],
        "detail": [row.detail[: shared.MAX_TEXT] for row in rows],
    }
    return pa.table(columns, schema=shared.SCHEMA), frozenset(names)


def application_files(files: Iterable[str]) -> list[str]:
    """The files that are neither Node's own nor installed packages, as absolute paths, each once."""
    found = set()
    for file in files:
        path = file.removeprefix("file://")
        if path.startswith("/") and path.endswith(_SUFFIXES) and not is_library(path):
            found.add(path)
    return sorted(found)[: shared.MAX_FILES]


def is_library(file: str) -> bool:
    """Whether a script belongs to Node or to an installed package."""
    return bool(_LIBRARY.search(file)) or not file.removeprefix("file://").startswith("/")


def _lines_of(file: str, lines: list[str]) -> Iterator[_Row]:
    renamed = {new: old for line in lines for old, new in _RENAMED.findall(line)}
    scopes: list[tuple[int, str]] = []
    comment = False
    for number, line in enumerate(lines, 1):
        code = line.split("//", 1)[0] if "://" not in line else line
        if comment or code.lstrip().startswith(("/*", "*")):
            comment = "*/" not in code and (comment or "/*" in code)
            continue
        indent = len(code) - len(code.lstrip())
        if code.strip() and not code.strip().startswith((")", "}")):
            while scopes and indent <= scopes[-1][0]:
                scopes.pop()
        opened = _FUNCTION.search(code)
        scope = ".".join(name for _, name in scopes)
        named = next((name for name in (opened.groups() if opened else ()) if name), None)
        if named and named not in _KEYWORDS:
            scopes.append((indent, named))
            if code.rstrip().endswith(("}", "};", "});")) and "{" in code:
                scope = ".".join(name for _, name in scopes)
                scopes.pop()
        inside = ".".join(name for _, name in scopes) or scope
        for kind, name, detail in _said(code, lines, number, renamed):
            where = scope if kind == "define" else inside
            yield _Row(file, where, name, kind, number, line.strip(), detail)


def _said(
    code: str, lines: list[str], number: int, renamed: dict[str, str]
) -> Iterator[tuple[str, str, str]]:
    """(kind, name, detail) of everything that one line says."""
    for pattern in (_DEFINE, _FIELD):
        match = pattern.search(code)
        if match:
            yield "define", match[1], code.strip()
            break
    for pattern in (_ASSIGNED, _FILL, _INDEXED):
        for match in pattern.finditer(code):
            yield "fill", match[1], code.strip()
    for pattern in (_CLEAR, _DELETE):
        for match in pattern.finditer(code):
            near = " ".join(lines[max(0, number - 2) : number])
            bounded = _BOUND.search(near) is not None
            yield "clear", match[1], code.strip() + (" when it is too large" if bounded else "")
    yield from _calls(code, lines, number, renamed)
    for name in dict.fromkeys(_INVOKED.findall(code)):
        if name not in _KEYWORDS:
            yield "invoke", name, name
    for match in _CLIENT.finditer(code):
        yield "client", match[1], code.strip()
    constant = _CONSTANT.search(code)
    if constant:
        yield "constant", constant[1], constant[2]


def _calls(
    code: str, lines: list[str], number: int, renamed: dict[str, str]
) -> Iterator[tuple[str, str, str]]:
    for new, old in renamed.items():
        code = re.sub(rf"\b{re.escape(new)}\(", f"{old}(", code)
    for match in _COMMAND.finditer(code):
        word = next(part for part in match.groups() if part)
        operation = _OPERATIONS.get(word)
        if operation:
            near = "\n".join(lines[max(0, number - 1 - _NEAR) : number + _NEAR])
            after = "\n".join(lines[number - 1 : number + _NEAR])
            table = _TABLE.search(after) or _TABLE.search(near)
            said = ""
            if table:
                said = f' TableName="{table[1]}"' if table[1] else f" TableName={table[2]}"
            yield "call", word, f"{operation}{said}"


__all__ = ["application_files", "index", "is_library"]
