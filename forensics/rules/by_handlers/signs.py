"""What the part of a stack inside the application's frames says of the block that was allocated there."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence

from forensics.profiles.model import Frame
from forensics.profiles.room import Room


class Sign(enum.Enum):
    """What a block is. The order is that in which they are looked for: a configuration holds clients, and so on."""

    CONFIGURATION = "configurations"
    CLIENT = "clients"
    PAGE = "pages of a paginator"
    DATA = "DynamoDB data"
    TEXT = "strings of DynamoDB data"
    ERROR = "errors and retries"
    METADATA = "response metadata and transport"
    CACHE = "the SDK's own caches"
    LAYER = "what a layer inside the SDK's client keeps"
    CHANNEL = "a channel's blocks"
    TASK = "tasks"
    BODY = "HTTP bodies"
    MAP = "a map"
    LIST = "a growing list"
    OTHER = "other memory"


#: What any frame inside the application's must match, the more telling first.
_ANYWHERE: tuple[tuple[Sign, re.Pattern[str]], ...] = (
    (Sign.CONFIGURATION, re.compile(r"aws-sdk-go-v2/config\.|^<?aws_config::")),
    (
        Sign.CLIENT,
        re.compile(
            r"service/dynamodb\.New(?:FromConfig)?(?:\.func\d+)*$|"
            r"aws_sdk_dynamodb::client::Client(?:>)?::(?:new|from_conf)|aws_sdk_dynamodb::config::(?:Builder|Config)(?:>)?::"
        ),
    ),
)
_TEXT = re.compile(r"\(\*StringArena\)")
_PAGINATOR = re.compile(r"\(\*(?:Query|Scan)Paginator\)|::paginator::|pagination_stream")
_ERROR = re.compile(r"aws-sdk-go-v2/aws/retry\.|^aws_smithy_runtime::client::retries|::SdkError")
#: Where the SDK for Rust reads an answer that is an error: the words, and what the service sent with them.
_REFUSED = re.compile(r"::de_\w+_http_error|::parse_http_error_metadata|_json_err(?:$|::)")
_CACHE = re.compile(
    r"smithy-go/(?:internal/)?(?:container|cache|lru)|CachePartition|identity::cache|endpointdiscovery|\(\*?lru\)"
)
_BODY = re.compile(
    r"^io\.ReadAll|bytes\.\(\*Buffer\)|http_body_util::|^<?bytes::|actix_web::types::payload|axum::body"
)
_CHANNEL = re.compile(r"tokio::sync::mpsc::|std::sync::mpmc|crossbeam|futures_channel::|^runtime\.makechan")
_TASK = re.compile(r"tokio::(?:runtime::)?(?:task|spawn)|tokio::task::|^runtime\.newproc")
_MAP = re.compile(
    r"^runtime\.(?:mapassign|growWork|hashGrow|makemap)|^internal/runtime/maps\.|hashbrown::|btree::map"
)
_LIST = re.compile(r"^runtime\.growslice|raw_vec::|vec::Vec<|vec_deque::")  # fmt: skip


def sign_of(frames: Sequence[Frame], rooms: Sequence[Room]) -> Sign:
    """The sign of the frames inside the application's own (innermost first); of all frames where it is not there."""
    names = [frame.function for frame in frames]
    for sign, pattern in _ANYWHERE:
        if any(pattern.search(name) for name in names):
            return sign
    if any(room == Room.DESERIALISER for room in rooms):
        if any(_REFUSED.search(name) for name in names):
            return Sign.ERROR
        if any(_PAGINATOR.search(name) for name in names):
            return Sign.PAGE
        # a block of the arena holds keys and values alike: whoever asked first allocated it
        return Sign.TEXT if any(_TEXT.search(name) for name in names[:2]) else Sign.DATA
    if not any(room == Room.SDK for room in rooms):
        # the application's own channels and tasks: the SDK's connections have theirs
        if any(_CHANNEL.search(name) for name in names):
            return Sign.CHANNEL
        if any(_TASK.search(name) for name in names):
            return Sign.TASK
    else:
        if any(_CACHE.search(name) for name in names):
            return Sign.CACHE
        innermost = next(name for name, room in zip(names, rooms, strict=True) if room == Room.SDK)
        return Sign.ERROR if _ERROR.search(innermost) else Sign.METADATA
    if any(_BODY.search(name) for name in names):
        return Sign.BODY
    if all(room == Room.RUNTIME for room in rooms):
        if any(_MAP.search(name) for name in names):
            return Sign.MAP
        if any(_LIST.search(name) for name in names):
            return Sign.LIST
    return Sign.OTHER


#: What makes the block of a value itself: the decoder of binaries, the copy of a string.
_GO_VALUE = re.compile(
    r"^encoding/base64\.\(\*Encoding\)\.|\(\*StringArena\)\.String$|^encoding/json\.unquote(?:Bytes)?$"
)
_RUST_VALUE = re.compile(r"base64|(?:^|::)(?:to_owned|into_owned|to_vec|to_string)(?:$|<)|unescape")
_CONTAINER = re.compile(r"hashbrown::|grow_one|vec_deque::|btree::map")


def is_value(frames: Sequence[Frame], rooms: Sequence[Room]) -> bool:
    """Whether a block is a value that the deserialiser made, and no map or list that values lie in.

    Parameters
    ----------
    frames, rooms : those inside the application's own, innermost first
    """
    first = next((k for k, room in enumerate(rooms) if room == Room.DESERIALISER), None)
    if first is None:
        return False
    names = [frame.function for frame in frames[: first + 1]]
    if any(_GO_VALUE.search(name) for name in names):
        return True
    return any(_RUST_VALUE.search(name) for name in names) and not any(
        _CONTAINER.search(name) for name in names
    )


#: Frames of goroutines and functions that make a connection's own memory; no handler stands above them.
TRANSPORT = re.compile(
    r"^net/http\.\(\*(?:Transport|persistConn)\)|^net/textproto\.|hyper_util::client|hyper::client|"
    r"aws_smithy_http_client::"
)
