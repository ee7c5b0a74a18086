"""What ``forensics/tracing.cjs`` left in a V8 heap: one tag for each response of which something is still there."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from forensics import arrow
from forensics.agent.tracing import LIVE_LIMIT
from forensics.formats.v8.raw import RawHeap

_TAG, _SITE = "ForensicsTag", "ForensicsSite"
_TEXTS = ("operation", "tables", "index", "context", "requestId")
#: What the texts of a tag may be; whatever else bears its name is no tag of ours, and none of its texts is kept.
_OPERATION = re.compile(r"[A-Z][A-Za-z]{2,63}")
_NAMES = re.compile(r"[\w.:/-]{1,255}(,[\w.:/-]{1,255})*")
_INDEX = re.compile(r"[\w.-]{3,255}")
_REQUEST = re.compile(r"[A-Za-z0-9-]{1,64}")
_ROUTE = re.compile(r"[A-Z]{3,7} [^\x00-\x1f\x7f]{1,255}")
_NUMBER = re.compile(r"[0-9]{1,15}")


def tagged(raw: RawHeap, limit: int = LIVE_LIMIT) -> list[dict[str, Any]]:
    """One row per tag, the oldest ``limit`` of them, shaped like those of ``forensics.agent.tracing.rows``.

    To be asked before ``raw`` is turned into a graph. ``tag_address`` is V8's id of the tag: responses, their
    metadata and their items lead to it, by the entries of a WeakMap whose keys they are.
    """
    tags = _named(raw, _TAG)
    if not len(tags):
        return []
    said = {name: _texts(raw, raw.follow(tags, name, "property")) for name in _TEXTS}
    times = [
        int(text) / 1000 if _NUMBER.fullmatch(text) else 0.0
        for text in _texts(raw, raw.follow(tags, "time", "property"))
    ]
    sites = raw.follow(tags, "site", "property")
    sites[~np.isin(sites, _named(raw, _SITE))] = -1
    places = {name: _texts(raw, raw.follow(sites, name, "property")) for name in ("file", "line", "name")}
    order = sorted(range(len(tags)), key=times.__getitem__)
    rows = []
    for k in order:
        tables = said["tables"][k]
        if not _OPERATION.fullmatch(said["operation"][k]) or not times[k]:
            continue
        if tables and not _NAMES.fullmatch(tables):
            continue
        line = places["line"][k]
        known = bool(places["file"][k] and _NUMBER.fullmatch(line))
        rows.append(
            {
                "tag_address": int(raw.ids[tags[k]]),
                "operation": said["operation"][k],
                "tables": tables.split(",") if tables else [],
                "index": said["index"][k] if _INDEX.fullmatch(said["index"][k]) else None,
                "request_id": said["requestId"][k] if _REQUEST.fullmatch(said["requestId"][k]) else None,
                "file": places["file"][k] if known else None,
                "line": int(line) if known else None,
                "function": (places["name"][k] or "module") if known else None,
                "time": times[k],
                "context": said["context"][k] if _ROUTE.fullmatch(said["context"][k]) else None,
                "held": True,
            }
        )
        if len(rows) == limit:
            break
    return rows


def _named(raw: RawHeap, name: str) -> np.ndarray:
    """int64: the objects whose constructor has this name."""
    place = arrow.index(raw.strings, name)
    return np.flatnonzero((raw.names == place) & (raw.types == raw.node_type("object")))


def _texts(raw: RawHeap, nodes: np.ndarray) -> list[str]:
    """The text of each node that is a string, empty for all others."""
    is_string = nodes >= 0
    is_string[is_string] = raw.types[nodes[is_string]] == raw.node_type("string")
    names, place = np.unique(raw.names[nodes[is_string]], return_inverse=True)
    known = np.array([*arrow.taken(raw.strings, names).to_pylist(), ""], object)
    found = np.full(len(nodes), "", object)
    found[is_string] = known[place]
    return found.tolist()
