"""Where the notebooks and the small captures are: at the top of a checkout, or inside an installed wheel.

The captures travel as one archive for each service, because three snapshots of one process have most of their bytes
in common and are ten times smaller together. They are unpacked the first time they are asked for: beside themselves in
a checkout, into the user's cache folder for a wheel.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import os
import tarfile
import tempfile
from pathlib import Path

from forensics.bundle import sha256
from forensics.errors import BundleError, ForensicsError

_PACKAGE = Path(__file__).parent
_INSTALLED = _PACKAGE / "_data"
_CHECKOUT = _PACKAGE.parent

#: In the captures folder: ``fastapi.tar.xz`` holds ``fastapi/leaking`` and ``fastapi/mended``, and so for each service.
_SUFFIX = ".tar.xz"
_STAMP = ".unpacked-from"


def notebooks() -> Path:
    """The folder of the numbered notebooks; read-only, copy them to work on them.

    Raises
    ------
    ForensicsError : this installation was made without them.
    """
    return _find("notebooks")


def captures() -> Path:
    """The folder of the small captures that come along: ``fastapi/leaking``, ``fastapi/mended``, ``express/leaking`` …

    Raises
    ------
    ForensicsError : this installation was made without them, or they cannot be unpacked.
    """
    folder = _find("captures")
    archives = {path: sha256(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))}
    if not archives:
        return folder
    together = hashlib.sha256("".join(archives.values()).encode()).hexdigest()
    target = folder if _in_checkout(folder) else _cache() / together[:16]
    for archive, digest in archives.items():
        stamp = target / _service(archive) / _STAMP
        if not stamp.is_file() or stamp.read_text().strip() != digest:
            _unpack(archive, target, digest)
    return target


def archive_of(service: str) -> str:
    """The name of the archive that holds the captures of a service."""
    return service + _SUFFIX


def _service(archive: Path) -> str:
    return archive.name.removesuffix(_SUFFIX)


def _find(name: str) -> Path:
    places = [_INSTALLED / name]
    if _in_checkout(_CHECKOUT / name):
        places.insert(0, _CHECKOUT / name)
    for place in places:
        if place.is_dir():
            return place
    raise ForensicsError(
        f"The {name} that come with forensics were looked for in {' and '.join(map(str, places))}: not there.",
        advice="Install the package again from a complete source tree (pip install --force-reinstall).",
        name=name,
    )


def _in_checkout(folder: Path) -> bool:
    # Told by the build files, so that some other site-packages/notebooks is never taken for ours.
    return folder.parent == _CHECKOUT and all(
        (_CHECKOUT / name).is_file() for name in ("setup.py", "pyproject.toml")
    )


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dynamodb-memory-forensics" / "captures"


def _unpack(archive: Path, target: Path, digest: str) -> None:
    """Unpack ``archive`` so that the service's folder in ``target`` appears whole or not at all."""
    final = target / _service(archive)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=target) as work:
            with tarfile.open(archive, "r:xz") as tar:
                tar.extractall(work, filter="data")
            whole = Path(work) / _service(archive)
            (whole / _STAMP).write_text(digest + "\n")
            for path in (whole, *whole.rglob("*")):
                path.chmod(0o700 if path.is_dir() else 0o600)
            if final.exists():
                final.rename(Path(work) / "replaced")
            with contextlib.suppress(FileExistsError):
                whole.rename(final)
    except (OSError, tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise BundleError(
            f"{archive} cannot be unpacked into {target}: {error}.",
            advice="Free some 250 MB of disk, or set XDG_CACHE_HOME to a folder that you may write to.",
            path=str(archive),
        ) from error


def pack(folder: Path, archive: Path) -> None:
    """The inverse: the captures in ``folder``, named like the archive, the same bytes for the same files."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if Path(entry.name).name in (_STAMP, "computed"):
            return None  # what was worked out of a capture can be worked out again
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = 0
        return entry

    # A dictionary that reaches back over both captures is what makes the archive small.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 192 << 20}]
    partial = archive.with_name(archive.name + ".partial")
    try:
        with (
            lzma.open(partial, "wb", filters=filters) as stream,
            tarfile.open(fileobj=stream, mode="w") as tar,
        ):
            tar.add(folder, _service(archive), filter=plain)
        partial.replace(archive)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    print(captures())
