"""Whose code a frame is: the application's, a framework's, the AWS SDK's, its deserialiser's, the runtime's.

The names of packages, functions and folders below were read off stacks of the real SDKs; where they stand for
one runtime only, the profile's runtime decides which rules are asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from forensics.profiles.model import FrameTable
from forensics.profiles.room import Room
from forensics.profiles.rust_frames import room_of_rust

# -- Python ------------------------------------------------------------------------------------------------

_SITE = re.compile(r"[/\\](?:site|dist)-packages[/\\](.*)$")
_PY_STDLIB = re.compile(
    r"[/\\]lib(?:64)?[/\\]python\d\.\d+[/\\]|[/\\]Python\d+[/\\][Ll]ib[/\\]|[/\\]python\d+\.zip[/\\]"
)
_PY_DESERIALISER = (
    "botocore/parsers.py",
    "aiobotocore/parsers.py",
    "boto3/dynamodb/types.py",
    "boto3/dynamodb/transform.py",
)
_PY_SDK = ("botocore", "boto3", "aiobotocore", "aioboto3", "s3transfer", "jmespath")


def _python(function: str, file: str) -> Room:
    if file.startswith("<") or not file:
        return (
            Room.APPLICATION
            if file in ("<stdin>", "<string>") or file.startswith("<ipython")
            else Room.RUNTIME
        )
    site = _SITE.search(file)
    if site:
        path = site[1].replace("\\", "/")
        if path.startswith(_PY_DESERIALISER):
            return Room.DESERIALISER
        return Room.SDK if path.split("/", 1)[0] in _PY_SDK else Room.FRAMEWORK
    if _PY_STDLIB.search(file):
        return Room.RUNTIME
    # memray's native frames: C sources and shared objects of the interpreter and of extension modules
    return Room.APPLICATION if file.endswith((".py", ".pyx", ".ipynb")) or "/" not in file else Room.RUNTIME


# -- Go ----------------------------------------------------------------------------------------------------

_GO_STDLIB = frozenset(
    "archive bufio builtin bytes cmp compress container context crypto database debug embed encoding errors "
    "expvar flag fmt go hash html image index internal io iter log maps math mime net os path plugin reflect "
    "regexp runtime slices sort strconv strings structs sync syscall testing text time unicode unique unsafe "
    "vendor weak".split()
)
_GO_DESERIALISER = re.compile(
    r"service/dynamodb(?:/types)?\.(?:.*[dD]eserialize)|feature/dynamodb/attributevalue\.|"
    r"awsjson\.\(\*Protocol\)\.DeserializeResponse|json\.\(\*ShapeDeserializer\)|serde\.\(\*StringArena\)"
)
_GO_SDK = ("github.com/aws/",)


def _go(function: str, file: str) -> Room:
    if _GO_DESERIALISER.search(function):
        return Room.DESERIALISER
    if function.startswith(_GO_SDK):
        return Room.SDK
    package = function.split(".", 1)[0] if "/" not in function else function
    first = package.split("/", 1)[0]
    if first == "main":
        return Room.APPLICATION
    if "/pkg/mod/" in file or "/vendor/" in file or re.search(r"@v\d", file):
        return Room.FRAMEWORK
    # A module of the application's own may be called as it likes, but it does not stand in Go's tree.
    if first in _GO_STDLIB and ("/go/src/" in file or not file.startswith("/") or "/usr/lib/go" in file):
        return Room.RUNTIME
    return Room.RUNTIME if "/src/runtime/" in file or function.startswith("0x") else Room.APPLICATION


# -- JavaScript --------------------------------------------------------------------------------------------

_JS_DESERIALISER_PACKAGES = re.compile(
    r"node_modules/(?:@aws-sdk/(?:dynamodb-codec|util-dynamodb|lib-dynamodb)|@smithy/core/.*(?:cbor|schema|protocols))"
)
_JS_DESERIALISER = frozenset(
    "deserializeResponse readAttributeValue unmarshallOutput processObj convertToNative convertMap convertList "
    "de_QueryCommand de_ScanCommand de_GetItemCommand de_AttributeValue de_AttributeMap de_ItemList".split()
)
_JS_SDK = re.compile(r"node_modules/(?:@aws-sdk|@smithy|@aws-crypto|aws-sdk)/")
_JS_RUNTIME = frozenset(
    ("(root)", "(V8 API)", "(GC)", "(PROGRAM)", "(EXTERNAL)", "(BYTECODE_COMPILER)", "(COMPILER)")
)


def _node(function: str, file: str) -> Room:
    if function in _JS_DESERIALISER or _JS_DESERIALISER_PACKAGES.search(file):
        return Room.DESERIALISER
    if _JS_SDK.search(file):
        return Room.SDK
    if "node_modules/" in file:
        return Room.FRAMEWORK
    if not file or file.startswith("node:") or function in _JS_RUNTIME:
        return Room.RUNTIME
    return Room.APPLICATION


_NATIVE_LIBRARY = re.compile(r"^(?:lib.*\.so|ld-linux|ld-musl|\[)")


def _native(function: str, file: str) -> Room:
    if "::" in function:
        return room_of_rust(function, file)
    # "orders+0x1f20": all that is known is which file the address lies in; the program's own is no library.
    name, plus, _ = function.rpartition("+0x")
    return Room.APPLICATION if plus and name and not _NATIVE_LIBRARY.match(name) else Room.RUNTIME


_RULES: dict[str, Callable[[str, str], Room]] = {
    "python": _python,
    "go": _go,
    "rust": room_of_rust,
    "node": _node,
    "native": _native,
}


@lru_cache(maxsize=65536)
def room_of(function: str, file: str, runtime: str) -> Room:
    """Whose code a frame of that runtime is (python, go, rust, node, native)."""
    return _RULES.get(runtime, _native)(function, file)


def rooms_of(frames: FrameTable, runtime: str) -> np.ndarray:
    """``Room`` of every frame, uint8[len(frames)]."""
    functions, files = frames.function.to_pylist(), frames.file.to_pylist()
    return np.fromiter(
        (room_of(function, file, runtime) for function, file in zip(functions, files, strict=True)),
        np.uint8,
        len(frames),
    )
