"""Specimens that are compiled: built once for each state of their sources, outside the clone."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from forensics.specimens.program import SpecimenError

#: Built programs that nobody has asked for since are removed when so many others of the name were built.
KEPT = 4


def cache() -> Path:
    """The folder where builds are kept: the one that ``.ci/run`` names too."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "dynamodb-memory-forensics"


def go_program(name: str, sources: Path) -> Path:
    """The program of a Go module, built with ``go build`` where it was not built before.

    Raises
    ------
    SpecimenError : Go is not installed, or the build failed; with its last words.
    """
    folder = cache()
    environment = {
        "GOCACHE": os.environ.get("GOCACHE") or str(folder / "go-build"),
        "GOMODCACHE": os.environ.get("GOMODCACHE") or str(folder / "go-mod"),
        "GOFLAGS": "-buildvcs=false -mod=readonly -modcacherw",
        "CGO_ENABLED": "0",
    }
    built = _place(name, _files(sources, (".go", ".mod", ".sum")))
    with _alone(built):
        if not built.exists():
            partial = built.with_suffix(".partial")
            _run("go", ["build", "-trimpath", "-o", str(partial), "."], sources, environment)
            partial.replace(built)
            _forget_old(built, name)
    return built


def rust_program(name: str, workspace: Path) -> Path:
    """A binary of a Cargo workspace, built with ``cargo build`` where it was not built before.

    The sources are built in a copy, for Cargo writes its lock file beside them.

    Raises
    ------
    SpecimenError : Cargo is not installed, or the build failed; with its last words.
    """
    folder = cache()
    environment = {"CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR") or str(folder / "cargo-target")}
    sources = _files(workspace, (".rs", ".toml"))
    built = _place(name, sources)
    copy = folder / "specimens" / "rust"
    # one lock for the whole workspace: its programs are built into one folder
    with _alone(copy):
        if not built.exists():
            for source in sources:
                target = copy / source.relative_to(workspace)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists() or target.read_bytes() != source.read_bytes():
                    shutil.copyfile(source, target)
            _run("cargo", ["build", "--quiet", "--bin", name], copy, environment)
            partial = built.with_suffix(".partial")
            shutil.copy(Path(environment["CARGO_TARGET_DIR"]) / "debug" / name, partial)
            partial.replace(built)
            _forget_old(built, name)
    return built


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in suffixes and path.is_file())


def _place(name: str, sources: Iterable[Path]) -> Path:
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    folder = cache() / "specimens"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}-{digest.hexdigest()[:16]}"


@contextlib.contextmanager
def _alone(built: Path) -> Iterator[None]:
    """One build at a time of the same program, whoever asks."""
    with built.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _forget_old(built: Path, name: str) -> None:
    others = [each for each in built.parent.glob(f"{name}-*") if not each.suffix and each != built]
    for each in sorted(others, key=lambda path: path.stat().st_mtime)[: -(KEPT - 1)]:
        each.unlink(missing_ok=True)


def _run(program: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    found = shutil.which(program)
    if found is None:
        raise SpecimenError(
            f"The specimen in {folder} is built with {program}, which is not installed.",
            advice=f"Install {program}, for example with your distribution's package manager.",
            program=program,
        )
    done = subprocess.run(
        [found, *arguments], cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False
    )
    if done.returncode:
        words = "\n".join(done.stderr.decode(errors="replace").splitlines()[-12:])
        raise SpecimenError(
            f"{program} {arguments[0]} failed in {folder} with exit code {done.returncode}.",
            advice=f"Its last words:\n{words}",
            exit_code=done.returncode,
        )
