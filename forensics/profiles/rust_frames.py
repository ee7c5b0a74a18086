"""Whose code a frame of a Rust program is: by the crate that its file lies in, by its name where that tells more.

Where functions are inlined, which async handlers always are, debugging information often has short names only
(``{async_fn#0}``, ``insert<K, V>``): then the file alone tells. A name with its path tells where there is no file.
"""

from __future__ import annotations

import re

from forensics.profiles.room import Room

_DESERIALISER = ("aws_sdk_dynamodb::protocol_serde", "aws_smithy_json::deserialize", "serde_dynamo::")
_SDK = (
    "aws_sdk_",
    "aws_smithy_",
    "aws_config::",
    "aws_runtime::",
    "aws_types::",
    "aws_credential_types::",
)
_RUNTIME = re.compile(
    r"^(?:std|core|alloc|hashbrown|dhat|tikv_jemallocator|tikv_jemalloc_sys|tikv_jemalloc_ctl|jemalloc_pprof)::|"
    r"^(?:__?rust_|__rg_|_?rjem_|je_|malloc|calloc|realloc|_start|__libc|clone|start_thread|main$|0x)"
)
_CRATES = re.compile(
    r"^(?:tokio|tokio_(?:util|stream)|hyper|hyper_util|axum|axum_(?:core|extra)|"
    r"actix_(?:web|http|rt|server|service|router|codec|utils|files|multipart|cors|session|tls)|"
    r"tower|tower_(?:http|service|layer)|futures|futures_(?:util|core|channel|executor|io|task)|serde|serde_json|bytes|"
    r"http|http_body|http_body_util|rustls|h2|tracing|tracing_(?:core|subscriber|futures)|matchit|pin_project_lite)::"
)
_PRIMITIVE = re.compile(r"^(?:\[|str\b|[ui](?:8|16|32|64|128|size)\b|bool\b|char\b|f(?:32|64)\b)")
_SELF = re.compile(r"^[<&*\s]*(?:mut |const |dyn |impl )*")
#: ``<F as axum::handler::Handler<T, S>>::call``: of a type parameter the trait tells whose code it is.
_PARAMETER = re.compile(r"^[A-Z]\w* as ")
#: crate and path of a file that Cargo fetched: from a registry, from git, or into the program's own vendor folder
_FETCHED = re.compile(
    r"/registry/src/[^/]+/([\w-]+?)-\d[^/]*/(.*)|/git/checkouts/([\w-]+?)-[0-9a-f]{16}/[^/]+/(.*)|"
    r"(?:^|/)vendor/([\w-]+?)(?:-\d[^/]*)?/(.*)"
)
_TOOLCHAIN = re.compile(r"^/rustc/|/rustlib/src/|/library/(?:std|core|alloc)/|^/rust/deps/|/\.rustup/")


def room_of_rust(function: str, file: str) -> Room:
    """Whose code a frame is; ``file`` may be empty."""
    by_file = _by_file(file)
    name = own_path(function)
    if "::" not in name or name.startswith("{"):
        if by_file is not None:
            return by_file
        return Room.APPLICATION if file.endswith(".rs") else Room.RUNTIME
    if _PRIMITIVE.match(name):
        return Room.RUNTIME
    if name.startswith(_DESERIALISER):
        return Room.DESERIALISER
    if name.startswith(_SDK):
        return Room.SDK
    if _CRATES.match(name):
        return Room.FRAMEWORK
    if _RUNTIME.match(name):
        return Room.RUNTIME
    return Room.APPLICATION if by_file is None else by_file


def own_path(function: str) -> str:
    """The path of a function's name without the type it is of: ``axum::handler::Handler`` of ``<F as axum::…>::call``.

    Type arguments are cut off, for the crates they name are not the function's: ``poll<app::Task>`` is ``poll``.
    """
    name = _SELF.sub("", function)
    name = _PARAMETER.sub("", name)
    return name.split("<", 1)[0].split(" as ", 1)[0]


def _by_file(file: str) -> Room | None:
    """What the file tells; None for a file of the application's own, and where there is none."""
    path = file.replace("\\", "/")
    if match := _FETCHED.search(path):
        crate, inside = (each for each in match.groups() if each is not None)
        return _of_crate(crate.replace("-", "_"), inside)
    return Room.RUNTIME if _TOOLCHAIN.search(path) else None


def _of_crate(crate: str, inside: str) -> Room:
    module = f"{crate}::{inside.removeprefix('src/').replace('/', '::').removesuffix('.rs')}::"
    if module.startswith(_DESERIALISER):
        return Room.DESERIALISER
    if module.startswith(_SDK):
        return Room.SDK
    return Room.RUNTIME if _RUNTIME.match(module) else Room.FRAMEWORK
