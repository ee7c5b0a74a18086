"""``forensics import FILE… --to DIR``: a capture out of files that other tools wrote."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import forensics
from forensics.bundle import Bundle
from forensics.errors import FormatError
from forensics.formats.registry import Loader, guess
from forensics.profiles.model import AllocationProfile


def import_files(files: Sequence[str | os.PathLike[str]], to: str | os.PathLike[str]) -> Path:
    """Make a capture at ``to`` out of allocation profiles, in the order in which they were taken.

    Every file is read before the capture is made, so that none is made of what cannot be read later; the bytes
    are then copied as they are.

    Returns
    -------
    the folder of the capture

    Raises
    ------
    FormatError : no file given, or one that no loader can read.
    BundleError : ``to`` is not an empty folder, or cannot be written.
    """
    if not files:
        raise FormatError(
            "No file was given to import.", advice="Name the files: forensics import FILE… --to DIR."
        )
    read: list[tuple[Path, Loader, AllocationProfile]] = []
    for each in files:
        path = Path(each)
        loader = guess(path)
        read.append((path, loader, loader.load(path)))
    read.sort(key=lambda entry: (entry[2].origin.start is None, entry[2].origin.start or 0.0))
    bundle = Bundle.create(to, **_manifest(read))
    entries = []
    for number, (path, loader, profile) in enumerate(read):
        name = f"allocations/{number:03d}{_suffix(path, loader)}"
        bundle.write(name, lambda target, source=path: shutil.copyfile(source, target))  # type: ignore[misc]
        entries.append({"file": name, "imported_from": path.name, "kind": loader.name, **_entry(profile)})
    bundle.update(allocations=entries, complete=True)
    return bundle.folder


def _suffix(path: Path, loader: Loader) -> str:
    """A suffix out of our own list: the name of a foreign file never becomes part of a path."""
    known = next((suffix for suffix in loader.suffixes if path.name.endswith(suffix)), loader.suffixes[0])
    return known if known.startswith(".") else ".dhat.json"


def _manifest(read: Sequence[tuple[Path, Loader, AllocationProfile]]) -> dict[str, Any]:
    runtimes = Counter(profile.origin.runtime for _, _, profile in read)
    pids = {profile.origin.facts.get("pid") for _, _, profile in read} - {None}
    starts = [profile.origin.start for _, _, profile in read if profile.origin.start is not None]
    return {
        "tool": f"dynamodb-memory-forensics {forensics.__version__}",
        "runtime": runtimes.most_common(1)[0][0],
        "pid": pids.pop() if len(pids) == 1 else None,
        "taken_at": min(starts) if starts else None,
        "imported_at": time.time(),
        "via": "import",
        "values": "none",
        "snapshots": [],
    }


def _entry(profile: AllocationProfile) -> dict[str, Any]:
    origin = profile.origin
    return {
        "tool": origin.tool,
        "runtime": origin.runtime,
        "start": origin.start,
        "end": origin.end,
        "complete": origin.complete,
        "sampling_period": origin.sampling_period,
        "bytes": {name: profile.total(name) for name in profile.measures},
        "notes": list(origin.notes),
    }
