"""``forensics import FILE… --to DIR``: a capture out of files that other tools wrote."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import forensics
from forensics.bundle import Bundle
from forensics.capture import responses
from forensics.errors import FormatError
from forensics.formats.registry import Loader, guess
from forensics.profiles.model import AllocationProfile


def import_files(files: Sequence[str | os.PathLike[str]], to: str | os.PathLike[str]) -> Path:
    """Make a capture at ``to`` out of allocation profiles and heap snapshots, in the order in which they were taken.

    Profiles are read first, and their bytes then copied as they are. Heap snapshots are written as ours, with their
    values masked. Where a file cannot be read there is no capture.

    Returns
    -------
    the folder of the capture

    Raises
    ------
    FormatError : no file given, one that no loader can read, or files of more than one language.
    BundleError : ``to`` is not an empty folder, or cannot be written.
    """
    if not files:
        raise FormatError(
            "No file was given to import.", advice="Name the files: forensics import FILE… --to DIR."
        )
    chosen = [(Path(each), guess(each)) for each in files]
    heaps = [path for path, loader in chosen if loader.makes == "graph"]
    read = [(path, loader, loader.load(path)) for path, loader in chosen if loader.makes == "profile"]
    _require_one_runtime(read, heaps)
    read.sort(key=lambda entry: (entry[2].origin.start is None, entry[2].origin.start or 0.0))
    bundle = Bundle.create(to, **_manifest(read, heaps))
    try:
        _add_heaps(bundle, heaps)
        _add_profiles(bundle, read)
    except BaseException:
        shutil.rmtree(bundle.folder, ignore_errors=True)
        raise
    bundle.update(complete=True)
    return bundle.folder


def _require_one_runtime(
    read: Sequence[tuple[Path, Loader, AllocationProfile]], heaps: Sequence[Path]
) -> None:
    """A capture is of one service; what jemalloc or valgrind saw below a language ("native") goes with any."""
    runtimes = dict.fromkeys(heaps, "node") | {path: profile.origin.runtime for path, _, profile in read}
    if len(set(runtimes.values()) - {"native"}) > 1:
        told = ", ".join(f"{path.name} ({runtime})" for path, runtime in runtimes.items())
        raise FormatError(
            f"These files are not of one service: {told}.",
            advice="Import those of one service at a time; `forensics verify` compares captures.",
        )


def _add_heaps(bundle: Bundle, heaps: Sequence[Path]) -> None:
    """Object graphs in the order in which they were written; values are masked, the file itself is not kept."""
    from forensics.formats.heapsnapshot import read, tagged, write

    key = secrets.token_bytes(16)
    entries = []
    noted: list[tuple[int, list[dict[str, Any]]]] = []
    for number, path in enumerate(sorted(heaps, key=lambda each: (each.stat().st_mtime, each.name))):
        taken_at = path.stat().st_mtime
        entry: dict[str, Any] = {"name": f"snapshots/{number:03d}", "taken_at": taken_at, "walker": "v8"}
        with bundle.new_folder(entry["name"]) as folder:
            meta = {"runtime": "node", "taken_at": taken_at, "time": taken_at}
            raw = read(path, folder)
            noted.append((number, tagged(raw)))
            entry |= write(raw, key=key, meta=meta)
        entries.append({**entry, "imported_from": path.name})
        bundle.update(snapshots=entries)
    responses.keep(bundle, noted)


def _add_profiles(bundle: Bundle, read: Sequence[tuple[Path, Loader, AllocationProfile]]) -> None:
    entries: list[dict[str, Any]] = []
    for path, loader, profile in read:
        if profile.origin.stacks_are == "references":
            _add_references(bundle, path)
            continue
        number = len(entries)
        name = f"allocations/{number:03d}{_suffix(path, loader)}"
        bundle.write(name, lambda target, source=path: shutil.copyfile(source, target))  # type: ignore[misc]
        entries.append({"file": name, "imported_from": path.name, "kind": loader.name, **_entry(profile)})
    bundle.update(allocations=entries)


def _add_references(bundle: Bundle, path: Path) -> None:
    """What grf wrote; of several the last one counts."""
    name = "references/000.pb.gz"
    bundle.write(name, lambda target: shutil.copyfile(path, target))
    bundle.update(references={"file": name, "imported_from": path.name})


def _suffix(path: Path, loader: Loader) -> str:
    """A suffix out of our own list: the name of a foreign file never becomes part of a path."""
    known = next((suffix for suffix in loader.suffixes if path.name.endswith(suffix)), loader.suffixes[0])
    return known if known.startswith(".") else ".dhat.json"


def _manifest(
    read: Sequence[tuple[Path, Loader, AllocationProfile]], heaps: Sequence[Path]
) -> dict[str, Any]:
    runtimes = Counter(["node"] * len(heaps) + [profile.origin.runtime for _, _, profile in read])
    pids = {profile.origin.facts.get("pid") for _, _, profile in read} - {None}
    starts = [profile.origin.start for _, _, profile in read if profile.origin.start is not None]
    starts += [path.stat().st_mtime for path in heaps]
    return {
        "tool": f"dynamodb-memory-forensics {forensics.__version__}",
        "runtime": runtimes.most_common(1)[0][0],
        "pid": pids.pop() if len(pids) == 1 else None,
        "taken_at": min(starts) if starts else None,
        "imported_at": time.time(),
        "via": "import",
        "values": "masked" if heaps else "none",
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
