"""A capture on disk: a folder that can be copied, mailed or put into S3, with its manifest and its checks.

    manifest.json            what, when, how, at what cost; a SHA-256 and an XXH3 for each file
    snapshots/000/           one object graph, Arrow IPC (see ``SNAPSHOT_SCHEMAS``), opened by memory map
    allocations/             profiles as their tools wrote them
    rates/                   what a Go service allocated in some seconds, freed or not
    references/              what leads to what in a Go process, as grf wrote it
    process.parquet          counters of the process over time
    responses.parquet        what the DynamoDB tracer noted
    sources.parquet          where the program's own names are defined and filled
    findings.json            the last judgement

The SHA-256 is for people: to be noted elsewhere, printed in a report, compared by another tool. Opening a capture
compares the XXH3 of 128 bits, which finds damage just as surely in a sixth of the time; somebody who may write into
the folder could write a manifest with a fitting SHA-256 too. Captures that know no XXH3 are held to their SHA-256.

Folders are 0700, files 0600. A file is written under another name and renamed when whole; the manifest is
rewritten after each, so a capture that was cut short is readable as far as it got.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa

from forensics.checksum import sha256_and_xxh3, xxh3
from forensics.errors import BundleError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"

#: The tables of one snapshot folder. Column meanings are those of ``forensics.heap.HeapGraph``.
SNAPSHOT_SCHEMAS: dict[str, pa.Schema] = {
    "objects": pa.schema(
        [
            ("address", pa.uint64()),
            ("type", pa.int32()),
            ("shallow_size", pa.int64()),
            ("flags", pa.uint16()),
            ("length", pa.int64()),
            ("capacity", pa.int32()),
            ("text", pa.int32()),
            ("value_hash", pa.uint64()),
            ("value_class", pa.uint16()),
        ]
    ),
    "offsets": pa.schema([("offset", pa.int64())]),
    "references": pa.schema([("target", pa.int32()), ("label", pa.int32()), ("kind", pa.uint8())]),
    "types": pa.schema([("name", pa.large_string())]),
    "strings": pa.schema([("text", pa.large_string())]),
    "roots": pa.schema([("object", pa.int32()), ("kind", pa.uint8()), ("name", pa.int32())]),
    "frames": pa.schema(
        [
            ("object", pa.int32()),
            ("thread_id", pa.uint64()),
            ("thread_name", pa.string()),
            ("depth", pa.int32()),
            ("function", pa.string()),
            ("file", pa.string()),
            ("line", pa.int32()),
        ]
    ),
    "code": pa.schema(
        [("object", pa.int32()), ("qualname", pa.string()), ("file", pa.string()), ("first_line", pa.int32())]
    ),
}
#: Tables that a snapshot has only where they have rows; captures made before there were such tables are whole too.
EXTRA_SCHEMAS: dict[str, pa.Schema] = {
    "unused": pa.schema(
        [("reference", pa.int64()), ("function", pa.string()), ("file", pa.string()), ("line", pa.int32())]
    ),
}


class Bundle:
    """The folder of a capture and its manifest; knows nothing of what the files mean."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest

    def __repr__(self) -> str:
        return f"Bundle({str(self.folder)!r})"

    # -- making one ----------------------------------------------------------------------------------------

    @classmethod
    def create(cls, folder: str | os.PathLike[str], **manifest: Any) -> Bundle:
        """Make an empty capture at ``folder``, which must not exist or be an empty folder.

        Raises
        ------
        BundleError : something is there already, or the folder cannot be made.
        """
        path = Path(folder)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BundleError(
                f"{path} exists and is not an empty folder; a capture never overwrites anything.",
                advice="Choose another folder with --to, or remove that one first.",
                path=str(path),
            )
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        except OSError as error:
            raise BundleError(
                f"The folder {path} cannot be made: {error.strerror}.",
                advice="Choose a folder that you may write to with --to.",
                path=str(path),
            ) from error
        bundle = cls(path, {"format_version": FORMAT_VERSION, "complete": False, **manifest, "files": {}})
        bundle.save_manifest()
        return bundle

    @contextlib.contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """A path to write ``name`` to; renamed to its final name, hashed and noted once the block ends well."""
        final = self.folder / name
        partial = final.with_name(final.name + ".partial")
        with self._disk_errors(final):
            self._make_folders(final.parent)
            try:
                yield partial
                partial.chmod(0o600)
                checksums = _checksums(partial)
                partial.replace(final)
            finally:
                partial.unlink(missing_ok=True)
        self._note(name, checksums)

    @contextlib.contextmanager
    def new_folder(self, name: str) -> Iterator[Path]:
        """The same for a folder of files: all of them appear at once, or none."""
        final = self.folder / name
        partial = final.with_name(final.name + ".partial")
        with self._disk_errors(final):
            self._make_folders(final.parent)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(mode=0o700)
            try:
                yield partial
                checksums = {}
                for file in sorted(partial.iterdir()):
                    file.chmod(0o600)
                    checksums[f"{name}/{file.name}"] = _checksums(file)
                partial.replace(final)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        for file_name, noted in checksums.items():
            self._note(file_name, noted, save=False)
        self.save_manifest()

    def write(self, name: str, writer: Callable[[Path], object]) -> Path:
        """Write one file through ``writer(path)`` and note its checksum; returns the final path."""
        with self.new_file(name) as path:
            writer(path)
        return self.folder / name

    def update(self, **facts: Any) -> None:
        """Change the manifest and save it."""
        self.manifest.update(facts)
        self.save_manifest()

    def save_manifest(self) -> None:
        """Write the manifest, atomically."""
        partial = self.folder / (MANIFEST + ".partial")
        with self._disk_errors(self.folder / MANIFEST):
            try:
                partial.write_text(json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n")
                partial.chmod(0o600)
                partial.replace(self.folder / MANIFEST)
            finally:
                partial.unlink(missing_ok=True)

    # -- opening one ---------------------------------------------------------------------------------------

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, check: bool = True) -> Bundle:
        """Open a capture; with ``check`` every file is compared with its checksum.

        Raises
        ------
        BundleError : no capture there, a newer format, a file that is missing, altered or closed to this user.
        """
        path = Path(folder)
        try:
            manifest = json.loads((path / MANIFEST).read_text())
            version = int(manifest["format_version"])
        except (FileNotFoundError, NotADirectoryError):
            raise _no_capture(path) from None
        except PermissionError:
            raise _closed(path / MANIFEST) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path / MANIFEST} cannot be read as a manifest: {error}.",
                advice="The capture is damaged; take it again, or copy it again from where it was made.",
                path=str(path),
            ) from error
        if version > FORMAT_VERSION:
            raise BundleError(
                f"{path} has format version {version}; this installation reads up to {FORMAT_VERSION}.",
                advice="Upgrade dynamodb-memory-forensics, or take the capture again with this version.",
                path=str(path),
                version=version,
            )
        bundle = cls(path, manifest)
        if check:
            try:
                bundle.check()
            except PermissionError as error:
                raise _closed(Path(error.filename or path)) from None
        return bundle

    def check(self) -> None:
        """Compare every file with the manifest's checksum; raises BundleError naming the first that differs."""
        listed = self.manifest.get("files", {})
        for name in listed:
            file = self.folder / name
            if not file.resolve().is_relative_to(self.folder.resolve()):
                raise BundleError(
                    f"The manifest of {self.folder} names a file outside the capture: {name!r}.",
                    advice="Do not trust this capture; ask for it again from where it was made.",
                    path=name,
                )
            if not file.is_file():
                raise BundleError(
                    f"{self.folder} lacks {name}, which its manifest lists: the copy was cut short.",
                    advice="Copy the capture again from where it was made.",
                    path=str(file),
                )
        # Hashing lets go of the interpreter's lock. Half of the cores: a service may run here.
        with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
            fits = pool.map(lambda name: _fits(self.folder / name, listed[name]), listed)
            for name, fitting in zip(listed, fits, strict=True):
                if not fitting:
                    raise BundleError(
                        f"{name} in {self.folder} was altered after it was captured: its checksum does not fit.",
                        advice="Copy the capture again from where it was made.",
                        path=str(self.folder / name),
                    )

    def names(self, prefix: str = "") -> list[str]:
        """The files the manifest lists below ``prefix``, sorted."""
        return sorted(name for name in self.manifest.get("files", {}) if name.startswith(prefix))

    # -- inside --------------------------------------------------------------------------------------------

    def _make_folders(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(mode=0o700)

    def _note(self, name: str, checksums: dict[str, str], *, save: bool = True) -> None:
        self.manifest["files"][name] = {**checksums, "bytes": (self.folder / name).stat().st_size}
        if save:
            self.save_manifest()

    @contextlib.contextmanager
    def _disk_errors(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise BundleError(
                f"{path} cannot be written: {'the disk is full' if full else error.strerror or error}.",
                advice="Free some room or choose another disk with --to; what was captured before is intact."
                if full
                else "Check the folder's owner and permissions, or choose another one with --to.",
                path=str(path),
            ) from error


def sha256(file: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checksums(file: Path) -> dict[str, str]:
    """What the manifest notes of a file."""
    return dict(zip(("sha256", "xxh3"), sha256_and_xxh3(file), strict=True))


def _fits(file: Path, noted: Mapping[str, Any]) -> bool:
    """Whether a file is what the manifest noted of it."""
    return bool(xxh3(file) == noted["xxh3"] if "xxh3" in noted else sha256(file) == noted["sha256"])


def _closed(file: Path) -> BundleError:
    """Whose the file is that we may not read, and how one comes to read it."""
    from forensics.capture.rights import user_name

    whose = file
    while (owner := _owner(whose)) is None and whose != whose.parent:
        whose = whose.parent  # what lies in a closed folder tells nothing
    name = "another user" if owner is None else user_name(owner)
    if owner == os.geteuid():
        advice = (
            f"It is {name}'s own: give the permission back with `chmod u+rwX -R {shlex.quote(str(whose))}`."
        )
    else:
        advice = (
            f"Read it as {name}, or let {name} or root give you the folder: `chown -R` (captures are 0600)."
        )
    return BundleError(
        f"{file} may not be read by {user_name(os.geteuid())}; it belongs to {name}.",
        advice=advice,
        path=str(file),
    )


def _owner(path: Path) -> int | None:
    try:
        return path.stat().st_uid
    except OSError:
        return None


def _no_capture(path: Path) -> BundleError:
    """What was given instead of a capture, and what to give."""
    made = "Give the folder that `forensics capture … --to FOLDER` made."
    if path.is_file():
        found = f"{path} is not a capture, which is a folder, but a file."
        made = f"{made} A file that another tool wrote: `forensics import {path.name} --to FOLDER` first."
    elif not path.exists():
        found = f"{path} is not a capture: there is no such folder."
    else:
        found = f"{path} is not a capture: it has no {MANIFEST}."
        within = sorted(each.parent.name for each in path.glob(f"*/{MANIFEST}"))
        if within:
            made = f"There are captures in it; give one of them: {', '.join(within[:8])}."
    return BundleError(found, advice=made, path=str(path))
