"""In which room of a program a place of the heap stands: application, framework, SDK or runtime; by runtime."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from forensics.dynamodb import places
from forensics.heap import javascript
from forensics.heap.graph import HeapGraph

Room = Literal["root", "application", "framework", "sdk", "dynamodb", "runtime"]

#: Modules of Python, by the name of the package.
_SDK = re.compile(r"(boto3|botocore|aiobotocore|aioboto3|s3transfer|urllib3|aiohttp)\b")
_FRAMEWORK = re.compile(
    r"(starlette|fastapi|uvicorn|gunicorn|flask|werkzeug|django|pydantic|asyncio|_asyncio|anyio|threading"
    r"|concurrent|queue|logging|contextvars|functools|_contextvars|hamt)\b"
)
#: Packages of npm, by their folder; the innermost counts, as packages bring packages of their own.
_PACKAGE = re.compile(r".*/node_modules/((?:@[^/]+/)?[^/]+)/")
_NODE_SDK = re.compile(
    r"@aws-sdk/|@smithy/|@aws/|@aws-crypto/|aws-sdk$|dynamoose$|electrodb$|dynamodb-toolbox$"
)
#: Classes that bear no source location where they are written as bundled code.
_NODE_SDK_TYPES = re.compile(r"DynamoDB\w*|NodeHttpHandler|NodeHttp2Handler|\w+Command|MiddlewareStack")
_NODE_FRAMEWORK_TYPES = re.compile(r"Layer|Route|Router|Express\w*|Fastify\w*|Koa")

_Finder = Callable[[HeapGraph, int, str, str], Room]


def room_of(graph: HeapGraph, i: int, expression: str) -> Room:
    """The room of object ``i``, which is reached by ``expression``; DynamoDB's data are told by the caller."""
    finder = _FINDERS.get(str(graph.meta.get("runtime", "python")), _python)
    return finder(graph, i, graph.type_name(i), expression)


def _python(graph: HeapGraph, i: int, type_name: str, expression: str) -> Room:
    if _SDK.match(type_name):
        return "sdk"
    if _FRAMEWORK.match(type_name):
        return "framework"
    module = places.module_of(expression, graph)[0]
    origin = {name: graph.modules().origins[i] for i, name in graph.modules().names.items()}.get(module, "")
    if _SDK.match(module):
        return "sdk"
    if _FRAMEWORK.match(module):
        return "framework"
    return "application" if origin == "application" else "runtime"


def _node(graph: HeapGraph, i: int, type_name: str, expression: str) -> Room:
    if type_name.startswith(("(object", "(compiled", "(array", "system", "Node /", "global")):
        return "runtime"
    if _NODE_SDK_TYPES.fullmatch(type_name):
        return "sdk"
    if _NODE_FRAMEWORK_TYPES.fullmatch(type_name):
        return "framework"
    own = javascript.place_of(graph, i)[1]
    return _of_script(own or places.script_of(expression)[0])


def _of_script(file: str) -> Room:
    """Of a script's address, or its path below the program's folder; "" where none is known."""
    package = _PACKAGE.match(file)
    if package:
        return "sdk" if _NODE_SDK.match(package[1]) else "framework"
    return "runtime" if not file or file.startswith(("node:", "internal/")) else "application"


#: Other runtimes with an object graph come in here.
_FINDERS: dict[str, _Finder] = {"python": _python, "node": _node}
