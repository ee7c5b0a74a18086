"""What one DynamoDB call can tell of itself, cheaply: its call site, tables and page, what it was done for.

Used by ``tracing.py``; standard library only, Python 3.9 and later.
"""

import asyncio
import contextvars
import functools
import os
import re
import sys
import sysconfig
import threading

# Rooms of a stack frame: the innermost APPLICATION frame is the call site, else the innermost LIBRARY frame.
SKIPPED, LIBRARY, APPLICATION = 0, 1, 2

#: Packages between the application and the wire: the SDK itself, and what instruments or retries it.
_SDK_PACKAGES = frozenset(
    (
        "boto3",
        "botocore",
        "aiobotocore",
        "aioboto3",
        "s3transfer",
        "urllib3",
        "aiohttp",
        "httpx",
        "wrapt",
        "opentelemetry",
        "ddtrace",
        "sentry_sdk",
        "aws_xray_sdk",
        "newrelic",
        "elasticapm",
        "tenacity",
        "backoff",
        "anyio",
        "greenlet",
        "gevent",
        "uvloop",
        "forensics",
        "_forensics_agent",
    )
)
_PATHS = sysconfig.get_paths()
_STDLIB = tuple(
    os.path.join(os.path.realpath(path), "")
    for path in (_PATHS["stdlib"], _PATHS["platstdlib"], os.path.dirname(os.__file__))
)
_OWN_FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "")
_INSTALLED = re.compile(r"[/\\](?:site|dist)-packages[/\\]([^/\\]+)")
_STATEMENT_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+"?([A-Za-z0-9_.-]+)', re.IGNORECASE)
_ARN_TABLE = re.compile(r"^arn:[^:]*:dynamodb:[^:]*:[^:]*:table/([^/|]+)")
_ROUTES = (
    ("starlette.routing", "Route"),
    ("starlette.routing", "WebSocketRoute"),
    ("fastapi.routing", "APIRoute"),
)

#: What is being served, as text; set by the wrapped Starlette routes, inherited by tasks and pool threads.
_route = contextvars.ContextVar("forensics_route")  # type: contextvars.ContextVar[str]


def room(file):
    """Whether frames of ``file`` are skipped, a library's or the application's."""
    if file.startswith("<frozen"):
        return SKIPPED
    found = _INSTALLED.search(file)
    if found:
        package = found.group(1)
        return SKIPPED if (package[:-3] if package.endswith(".py") else package) in _SDK_PACKAGES else LIBRARY
    path = os.path.realpath(file)
    if path.startswith(_OWN_FOLDER) or path.startswith(_STDLIB):
        return SKIPPED
    return APPLICATION


def table_names(params):
    """The tables that the parameters of a DynamoDB call name, in order, each once."""
    names = []  # type: list
    _collect_tables(params, names)
    return tuple(dict.fromkeys(names))


def _collect_tables(params, names):
    for key in ("TableName", "TableArn", "StreamArn", "ShardIterator"):
        name = params.get(key)
        if isinstance(name, str):
            arn = _ARN_TABLE.match(name)
            names.append(arn.group(1) if arn else name)
            break
    if isinstance(params.get("RequestItems"), dict):
        names.extend(params["RequestItems"])
    if isinstance(params.get("Statement"), str):
        names.extend(_STATEMENT_TABLE.findall(params["Statement"]))
    for key in ("TransactItems", "TransactStatements", "Statements"):
        for entry in params.get(key) or ():
            _collect_tables(entry, names)
            for action in entry.values():
                if isinstance(action, dict):
                    _collect_tables(action, names)


def fingerprint(tables, token):
    """A number for a page token; the same for ``{'pk': {'S': 'a'}}`` and ``{'pk': 'a'}``, keeping nothing."""
    parts = []
    for name, typed in token.items():
        value = next(iter(typed.values())) if type(typed) is dict and len(typed) == 1 else typed
        parts.append((name, hash(value if type(value) in (str, bytes) else str(value))))
    return hash((tables, frozenset(parts)))


def served():
    """What the call is done for: the route being served, else the asyncio task, else the thread."""
    route = _route.get(None)
    if route is not None:
        return route
    loop = asyncio._get_running_loop()
    if loop is not None:
        task = asyncio.current_task(loop)
        if task is not None:
            name = task.get_name()
            if name.startswith("Task-"):  # asyncio's own numbering says nothing
                name = getattr(task.get_coro(), "__qualname__", name)
            return "task " + name
    return "thread " + threading.current_thread().name


def wrap_routes():
    """Let Starlette's and FastAPI's routes, where they are loaded, say which one is being served."""
    for route, handle in _handles():
        if not hasattr(handle, "__wrapped__"):
            route.handle = _announcing(handle)


def unwrap_routes():
    """Undo ``wrap_routes``."""
    for route, handle in _handles():
        if getattr(handle, "__module__", None) == __name__ or hasattr(handle, "__wrapped__"):
            route.handle = handle.__wrapped__


def _handles():
    for module, name in _ROUTES:
        route = getattr(sys.modules.get(module), name, None)
        handle = vars(route).get("handle") if route is not None else None
        if handle is not None:
            yield route, handle


def _announcing(handle):
    @functools.wraps(handle)
    async def announced(self, scope, receive, send):
        method = scope.get("method") or scope.get("type", "").upper()
        before = _route.set("{} {}".format(method, getattr(self, "path", "?")))
        try:
            return await handle(self, scope, receive, send)
        finally:
            _route.reset(before)

    return announced
