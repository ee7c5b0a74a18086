"""npm packages of a specimen, installed once for each manifest into the user's cache, never into the clone."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from forensics.specimens.program import SpecimenError

#: npm resolves and unpacks some 75 packages; a slow network is given its time.
PATIENCE = 600.0


def node() -> str:
    """The path of ``node``.

    Raises
    ------
    SpecimenError : it is not installed.
    """
    return _program("node")


def installed(manifest: Path) -> Path:
    """The ``node_modules`` of this ``package.json``: made by ``npm install`` the first time it is asked for.

    The folder is named by the manifest's SHA-256, so that a changed pin is installed beside the old one.

    Raises
    ------
    SpecimenError : npm is not installed, or it could not install; its last words are in the advice.
    """
    content = manifest.read_bytes()
    folder = cache() / hashlib.sha256(content).hexdigest()[:16]
    modules = folder / "node_modules"
    done = folder / ".installed"
    if done.is_file():
        return modules
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if not done.is_file():
            (folder / "package.json").write_bytes(content)
            _install(folder)
            done.touch()
    return modules


def cache() -> Path:
    """Where packages are kept: below ``XDG_CACHE_HOME``, by default ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dynamodb-memory-forensics" / "node"


def _install(folder: Path) -> None:
    options = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--loglevel=error")
    try:
        run = subprocess.run(
            [_program("npm"), "install", *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SpecimenError(
            f"npm did not install the packages of {folder / 'package.json'} in {PATIENCE:.0f} seconds.",
            advice="See that npm reaches its registry, and try again.",
        ) from None
    if run.returncode:
        raise SpecimenError(
            f"npm could not install the packages of {folder / 'package.json'} (exit code {run.returncode}).",
            advice=f"See that npm reaches its registry. Its last words:\n{(run.stderr or run.stdout)[-2000:]}",
        )


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise SpecimenError(
            f"{name} is not installed, and the Express specimen is a Node program.",
            advice="Install Node.js 18 or newer with npm (Debian: apt-get install nodejs npm).",
        )
    return path


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes that need the same packages at once: one installs, the other waits."""
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
