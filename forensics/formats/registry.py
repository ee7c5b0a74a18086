"""Which loader reads which file: by its first bytes, then by its suffix, never by trying them in turn.

A loader is a module that ends with one line, ``register(Loader(…))``. ``_MODULES`` names them, so that nothing
walks the file system and so that importing this module stays cheap.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from forensics.errors import FormatError

if TYPE_CHECKING:
    from forensics.profiles.model import AllocationProfile

HEAD_BYTES = 4096

_MODULES = ("memray", "heapsnapshot", "jemalloc", "dhat", "heapprofile", "pprof")


@dataclass(frozen=True)
class Loader:
    """One kind of file.

    Attributes
    ----------
    name : how it is spoken of, and what ``load(…, kind=…)`` takes
    writes : which tool writes such files, for people
    suffixes : usual endings, longest first
    recognises : takes the first ``HEAD_BYTES`` (gunzipped where gzipped) and says whether they are of this kind
    load : takes a path and options, gives the profile or the object graph; raises FormatError
    makes : "profile", or "graph" where the file is a heap snapshot
    """

    name: str
    writes: str
    suffixes: tuple[str, ...]
    recognises: Callable[[bytes], bool]
    load: Callable[..., Any]
    makes: Literal["profile", "graph"] = "profile"


_LOADERS: dict[str, Loader] = {}


def register(loader: Loader) -> None:
    """Make a loader known; the last line of a loader's module."""
    _LOADERS[loader.name] = loader


def loaders() -> tuple[Loader, ...]:
    """Every loader there is, in the order in which their signs are looked for."""
    for module in _MODULES:
        importlib.import_module(f"forensics.formats.{module}")
    return tuple(_LOADERS[name] for name in sorted(_LOADERS, key=_MODULES.index))


def guess(path: str | os.PathLike[str]) -> Loader:
    """The loader for a file.

    Raises
    ------
    FormatError : absent or empty file, or a kind that no loader knows; the message lists the candidates.
    """
    from forensics.formats.bounded import read_head

    file = Path(path)
    head = read_head(file, HEAD_BYTES)
    known = loaders()
    for loader in known:
        if loader.recognises(head):
            return loader
    for loader in known:
        if file.name.endswith(loader.suffixes):
            return loader
    raise FormatError(
        f"{file.name} was looked at by content and by suffix and is of no kind that is known here: "
        f"it starts with {head[:16]!r}.",
        advice="These can be read: "
        + "; ".join(f"{loader.name} ({loader.writes}; {', '.join(loader.suffixes)})" for loader in known)
        + ".",
        path=str(file),
        candidates=[loader.name for loader in known],
    )


def load(path: str | os.PathLike[str], *, kind: str | None = None, **options: Any) -> AllocationProfile:
    """Read a file that a memory profiler wrote.

    Parameters
    ----------
    path : the file
    kind : a loader's name, where its choice should not rest on the content
    options : passed to the loader (``forensics.formats.memray.load`` has some)

    Raises
    ------
    FormatError : unknown kind, or the file is not what it claims to be.
    """
    if kind is None:
        return guess(path).load(Path(path), **options)
    known = {loader.name: loader for loader in loaders()}
    if kind not in known:
        raise FormatError(
            f"There is no loader of the name {kind!r}.",
            advice=f"Choose one of {', '.join(known)}.",
            candidates=list(known),
        )
    return known[kind].load(Path(path), **options)


#: The same under the name that says more outside this folder.
load_profile = load
