"""The lines of one parsed file that define, fill or empty a name, or call DynamoDB.

Reads syntax only. What a name is bound to is followed as far as a reader of the one file would: module constants,
defaults of ``os.environ.get``, names assigned from ``….Table("Orders")``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FILLING = frozenset(
    (
        *("append", "appendleft", "add", "setdefault", "update", "put", "put_nowait", "extend", "extendleft"),
        *("insert", "push", "set", "send_nowait", "subscribe", "connect", "on", "add_listener", "addHandler"),
        *("register", "register_first", "register_last", "add_done_callback", "enter_context"),
        *("enter_async_context", "callback", "push_async_callback", "finalize"),
    )
)
EMPTYING = frozenset(
    (
        *(
            "pop",
            "popitem",
            "popleft",
            "clear",
            "discard",
            "remove",
            "expire",
            "evict",
            "cache_clear",
            "get_nowait",
        ),
        *("unregister", "off", "unsubscribe", "removeHandler", "aclose", "close"),
    )
)
#: Constructors of what may accumulate; the display forms ``[]`` and ``{}`` are known by their syntax.
CONTAINERS = frozenset(
    (
        *(
            "list",
            "dict",
            "set",
            "deque",
            "defaultdict",
            "OrderedDict",
            "Counter",
            "ChainMap",
            "UserDict",
            "UserList",
        ),
        *("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue", "ContextVar", "local", "WeakValueDictionary"),
        *("WeakKeyDictionary", "WeakSet", "LRUCache", "TTLCache", "LFUCache", "MemoryHandler", "ExitStack"),
        *("AsyncExitStack", "field", "array"),
    )
)
#: boto3's method -> DynamoDB operation; ``get_paginator("scan")`` names one of these.
OPERATIONS = {
    "query": "Query",
    "scan": "Scan",
    "get_item": "GetItem",
    "batch_get_item": "BatchGetItem",
    "transact_get_items": "TransactGetItems",
    "execute_statement": "ExecuteStatement",
    "batch_execute_statement": "BatchExecuteStatement",
    "execute_transaction": "ExecuteTransaction",
    "put_item": "PutItem",
    "update_item": "UpdateItem",
    "delete_item": "DeleteItem",
    "batch_write_item": "BatchWriteItem",
    "transact_write_items": "TransactWriteItems",
    "get_records": "GetRecords",
    "list_tables": "ListTables",
    "describe_table": "DescribeTable",
}
_CACHES = frozenset(("lru_cache", "cache", "cached", "alru_cache", "cached_property", "memoize", "ttl_cache"))
#: What the detail of a line ends in that empties a container only when that has grown too large.
WHEN_TOO_LARGE = "when it is too large"
_BOUNDS = frozenset(("maxlen", "maxsize", "max_size", "ttl", "capacity"))
_STATEMENT_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?([A-Za-z0-9_.-]{3,255})', re.IGNORECASE)

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Line:
    """One line of interest; ``name`` is the last name of ``detail``'s expression."""

    scope: str
    name: str
    kind: str
    line: int
    detail: str


class Constants:
    """String constants of the whole program by name; a name with different values in two files resolves in neither."""

    def __init__(self, files: Sequence[dict[str, str]]) -> None:
        self._values: dict[str, str | None] = {}
        for values in files:
            for name, value in values.items():
                known = self._values.setdefault(name, value)
                if known != value:
                    self._values[name] = None

    def get(self, name: str) -> str | None:
        """The value, or None where it is not known for sure."""
        return self._values.get(name)


def constants_of(tree: ast.Module) -> dict[str, str]:
    """Names that this file's module or class level binds to a string, or to a setting with a default."""
    found: dict[str, str] = {}
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.ClassDef):
            todo.extend(node.body)
        found.update(_texts_bound(node))
    return found


def _local_constants(tree: ast.Module) -> dict[str, str]:
    """Names that one file binds to one string only, anywhere: also locals, and parameters that calls give a string."""
    found: dict[str, set[str]] = {}
    functions: dict[str, _Function] = {}
    calls: list[ast.Call] = []
    for node in ast.walk(tree):
        for name, bound in _texts_bound(node):
            found.setdefault(name, set()).add(bound)
        if isinstance(node, _Function):
            functions[node.name] = node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls.append(node)
    for call in calls:
        function = functions.get(_last_name(call.func) or "")
        if function is not None:
            for parameter, argument in zip(function.args.args, call.args, strict=False):
                text = constant_text(argument)
                if text is not None:
                    found.setdefault(parameter.arg, set()).add(text)
    return {name: texts.pop() for name, texts in found.items() if len(texts) == 1}


def _texts_bound(node: ast.AST) -> list[tuple[str, str]]:
    bound = []
    for target, value in _assignments(node):
        text = constant_text(value)
        if text is not None and isinstance(target, ast.Name):
            bound.append((target.id, text))
    return bound


def constant_text(node: ast.AST | None) -> str | None:
    """The string a node stands for: a constant, or the default of ``os.environ.get`` and ``os.getenv``."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if (
        isinstance(node, ast.Call)
        and len(node.args) == 2
        and ast.unparse(node.func).endswith(("environ.get", "getenv"))
    ):
        return constant_text(node.args[1])
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):  # os.environ.get("X") or "Orders"
        return constant_text(node.values[-1])
    return None


class LinesOf(ast.NodeVisitor):
    """Walks one file; ``lines`` holds what was found, by line."""

    def __init__(self, tree: ast.Module, constants: Constants) -> None:
        self._constants = constants
        self._own = {**_local_constants(tree), **constants_of(tree)}
        self._tables = _names_of_tables(tree, self._text)
        self._scope: list[str] = []
        self._measured: list[set[str]] = []
        self._found: list[Line] = []
        self.visit(tree)

    @property
    def lines(self) -> list[Line]:
        """Each line of interest once, by line number."""
        return sorted(dict.fromkeys(self._found), key=lambda each: each.line)

    # -- scopes ----------------------------------------------------------------------------------------------

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Names inside get the class's qualified name as their scope."""
        self._visit_all(node.decorator_list + node.bases)
        self._inside(node.body, node.name)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """The same for functions; decorators that cache and defaults that can be filled are definitions."""
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """As ``visit_FunctionDef``."""
        self._function(node)

    def _function(self, node: _Function) -> None:
        for decorator in node.decorator_list:
            if _last_name(decorator) in _CACHES:
                self._add("define", node.name, node.lineno, f"{node.name} decorated {ast.unparse(decorator)}")
                self._bounds(decorator, node.name, node.lineno)
        for argument, default in _defaults(node.args):
            if _container(default) is not None:
                detail = f"{node.name}({argument}={_container(default)}), a default made once"
                self._add("define", node.name, node.lineno, detail)
                self._scope.append(node.name)
                self._add("define", argument, node.lineno, detail)
                self._scope.pop()
        self._visit_all([*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)])
        self._inside(node.body, node.name, "<locals>")

    def _inside(self, body: Iterable[ast.AST], *names: str) -> None:
        self._scope.extend(names)
        self._visit_all(body)
        del self._scope[-len(names) :]

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    # -- definitions and fills by assignment -----------------------------------------------------------------

    def visit_Assign(self, node: ast.Assign) -> None:
        """``X = {}``, ``self.x = …``, ``x[k] = …``."""
        self._assigned(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The same with an annotation."""
        self._assigned(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """``(x := …)``."""
        self._assigned(node)

    def _assigned(self, node: ast.AST) -> None:
        for target, value in _assignments(node):
            self._target(target, value)
        self.generic_visit(node)

    def _target(self, target: ast.AST, value: ast.AST) -> None:
        line = getattr(target, "lineno", 0)
        if isinstance(target, ast.Subscript):
            self._change("fill", target.value, line, "[…] =")
            return
        name = _last_name(target)
        if name is None:
            return
        shape = _container(value) or _called(value)
        attribute = isinstance(target, ast.Attribute)
        if not (attribute or shape or self._at_module_or_class()):
            return  # a plain local
        known = attribute and not shape and not _is_self(target)
        self._add("fill" if known else "define", name, line, f"{ast.unparse(target)} = {shape or '…'}")
        self._bounds(value, name, line)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """``self.items += page["Items"]``; counters of a function are left out."""
        target = node.target
        if (
            isinstance(target, ast.Attribute)
            or _container(node.value)
            or isinstance(node.value, ast.Subscript)
        ):
            self._change("fill", target, node.lineno, " +=")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """``if len(x) > n: x.popitem()``: what empties only when there is too much gives a container its bound."""
        self._guarded(node)

    def visit_While(self, node: ast.While) -> None:
        """The same, repeated."""
        self._guarded(node)

    def _guarded(self, node: ast.If | ast.While) -> None:
        self.visit(node.test)
        self._measured.append(_measured_by(node.test))
        self._visit_all(node.body)
        self._measured.pop()
        self._visit_all(node.orelse)

    def visit_Delete(self, node: ast.Delete) -> None:
        """``del x[k]``, ``del self.trail[:-20]``."""
        for target in node.targets:
            self._change("clear", target, node.lineno, "del")
        self.generic_visit(node)

    # -- calls -----------------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        """Methods that fill or empty, and DynamoDB's."""
        method = _last_name(node.func)
        if isinstance(node.func, ast.Attribute):
            if method in FILLING:
                self._change("fill", node.func.value, node.lineno, f".{method}()")
            elif method in EMPTYING:
                self._change("clear", node.func.value, node.lineno, f".{method}()")
            if method in OPERATIONS:
                self._dynamodb(node, method, OPERATIONS[method])
            elif method in ("get_paginator", "get_waiter") and node.args:
                operation = OPERATIONS.get(self._text(node.args[0]) or "")
                if operation:
                    self._dynamodb(node, method, operation)
            elif method == "paginate" or (method == "Table" and node.args):
                self._dynamodb(node, method, "")
        self.generic_visit(node)

    def _dynamodb(self, node: ast.Call, method: str, operation: str) -> None:
        table = index = None
        for keyword in node.keywords:
            if keyword.arg == "TableName":
                table = self._text(keyword.value)
            elif keyword.arg == "IndexName":
                index = self._text(keyword.value)
            elif keyword.arg == "Statement":
                found = _STATEMENT_TABLE.search(self._text(keyword.value) or "")
                table = found.group(1) if found else None
            elif keyword.arg == "RequestItems" and isinstance(keyword.value, ast.Dict):
                names = [self._text(key) for key in keyword.value.keys if key is not None]
                table = next((name for name in names if name), None)
            elif keyword.arg in ("TransactItems", "TransactStatements", "Statements"):
                table = self._table_within(keyword.value)
        if method == "Table":
            table = self._text(node.args[0])
        elif table is None and isinstance(node.func, ast.Attribute):
            table = self._table_of(node.func.value)
        said = [operation, f'TableName="{table}"' if table else "", f'IndexName="{index}"' if index else ""]
        self._add("call", method, node.lineno, " ".join(word for word in said if word))

    def _table_within(self, node: ast.AST) -> str | None:
        """The table that the parts of a transaction or a batch of statements name first."""
        for inner in ast.walk(node):
            if not isinstance(inner, ast.Dict):
                continue
            for key, value in zip(inner.keys, inner.values, strict=True):
                word, text = self._text(key), self._text(value)
                if word == "TableName" and text:
                    return text
                if word == "Statement" and (found := _STATEMENT_TABLE.search(text or "")):
                    return found.group(1)
        return None

    def _table_of(self, receiver: ast.AST) -> str | None:
        if isinstance(receiver, ast.Call):
            if _last_name(receiver.func) == "Table" and receiver.args:
                return self._text(receiver.args[0])
            receiver = receiver.func
        name = _last_name(receiver)
        return self._tables.get(name) if name else None

    # -- details ---------------------------------------------------------------------------------------------

    def _text(self, node: ast.AST | None) -> str | None:
        text = constant_text(node)
        if text is not None:
            return text
        name = _last_name(node) if isinstance(node, ast.Name | ast.Attribute) else None
        return (self._own.get(name) or self._constants.get(name)) if name else None

    def _bounds(self, node: ast.AST, name: str, line: int) -> None:
        """``deque(maxlen=20)``, ``lru_cache(maxsize=24)``: what limits a container empties it."""
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in _BOUNDS and not _may_be_unlimited(keyword.value):
                    self._add("clear", name, line, f"{name} {keyword.arg}={ast.unparse(keyword.value)}")

    def _change(self, kind: str, target: ast.AST, line: int, how: str) -> None:
        # TRAIL.get().append(x), PAGES.setdefault(k, []).append(x), self.rows[k].add(x): the name at the bottom
        while isinstance(target, ast.Subscript | ast.Call):
            inner = target.value if isinstance(target, ast.Subscript) else target.func
            target = (
                inner.value if isinstance(target, ast.Call) and isinstance(inner, ast.Attribute) else inner
            )
        name = _last_name(target)
        if name is not None:
            expression = ast.unparse(target)
            detail = f"del {expression}" if how == "del" else expression + how
            bounded = kind == "clear" and any(expression in measured for measured in self._measured)
            self._add(kind, name, line, f"{detail} {WHEN_TOO_LARGE}" if bounded else detail)

    def _at_module_or_class(self) -> bool:
        return "<locals>" not in self._scope[-1:]

    def _add(self, kind: str, name: str, line: int, detail: str) -> None:
        names = self._scope[:-1] if self._scope[-1:] == ["<locals>"] else self._scope
        self._found.append(Line(".".join(names), name, kind, line, detail))


def _measured_by(test: ast.AST) -> set[str]:
    """The expressions whose length a condition finds too large: ``x`` of ``len(x) > n`` and ``n <= len(x)``."""
    found: set[str] = set()
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left, right = node.left, node.comparators[0]
            larger = left if isinstance(node.ops[0], ast.Gt | ast.GtE) else right
            if isinstance(node.ops[0], ast.Gt | ast.GtE | ast.Lt | ast.LtE) and _last_name(larger) == "len":
                found.update(ast.unparse(argument) for argument in getattr(larger, "args", []))
    return found


def _names_of_tables(tree: ast.Module, text_of) -> dict[str, str]:
    """Names bound to ``….Table("Orders")``, and functions that return one, with the table's name."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        for target, value in _assignments(node):
            name, table = _last_name(target), _table_made(value, text_of)
            if name and table:
                found[name] = table
        if isinstance(node, _Function):
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value is not None:
                    table = _table_made(each.value, text_of)
                    if table:
                        found[node.name] = table
    return found


def _table_made(node: ast.AST, text_of) -> str | None:
    if isinstance(node, ast.Await):
        node = node.value
    if isinstance(node, ast.Call) and _last_name(node.func) == "Table" and node.args:
        return text_of(node.args[0])
    return None


def _assignments(node: ast.AST) -> list[tuple[ast.AST, ast.AST]]:
    """(target, value) of an assignment statement, tuples taken apart."""
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        targets, value = [node.target], node.value
    else:
        return []
    pairs: list[tuple[ast.AST, ast.AST]] = []
    for target in targets:
        if isinstance(target, ast.Tuple | ast.List):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            same = len(values) == len(target.elts)
            pairs.extend((each, values[i] if same else value) for i, each in enumerate(target.elts))
        else:
            pairs.append((target, value))
    return pairs


def _defaults(arguments: ast.arguments) -> list[tuple[str, ast.AST]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    last = positional[len(positional) - len(arguments.defaults) :]
    pairs = [(argument.arg, default) for argument, default in zip(last, arguments.defaults, strict=True)]
    keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [*pairs, *((argument.arg, default) for argument, default in keyword if default is not None)]


def _container(node: ast.AST) -> str | None:
    """What a value is, if it is something that can be filled: ``dict``, ``deque(maxlen=5)``."""
    if isinstance(node, ast.Dict | ast.DictComp):
        return "dict"
    if isinstance(node, ast.List | ast.ListComp):
        return "list"
    if isinstance(node, ast.Set | ast.SetComp):
        return "set"
    if isinstance(node, ast.Call):
        name = _last_name(node.func)
        if name in CONTAINERS or name in _CACHES:
            return ast.unparse(node)
    return None


def _called(node: ast.AST) -> str | None:
    """The call a value comes from, if it is one of DynamoDB's."""
    if isinstance(node, ast.Await):
        node = node.value
    if isinstance(node, ast.Subscript):  # dynamodb.get_item(…)["Item"]
        return _called(node.value)
    if isinstance(node, ast.Call):
        name = _last_name(node.func)
        if name in OPERATIONS or name in (
            "client",
            "resource",
            "Table",
            "Session",
            "create_client",
            "get_paginator",
        ):
            return f"{name}(…)"
    return None


def _may_be_unlimited(node: ast.AST) -> bool:
    """Whether a bound is, or may turn out to be, none: ``None``, ``0``, ``20 if SMALL else None``."""
    if isinstance(node, ast.IfExp):
        return _may_be_unlimited(node.body) or _may_be_unlimited(node.orelse)
    return isinstance(node, ast.Constant) and not node.value


def _is_self(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("self", "cls")
    )


def _last_name(node: ast.AST | None) -> str | None:
    """``exports`` of ``app.state.exports``, ``lru_cache`` of ``functools.lru_cache(maxsize=3)``."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return None
