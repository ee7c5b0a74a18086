"""Which walker fits a target: native for its very Python version, or the Python one, and what that costs.

In this order: the one this installation was built with, if the target runs exactly our version; one built now with
the target's own headers (kept in the user's cache); the installation's own for another patch release of the same
minor version, which checks itself on known objects when it is loaded; the Python walker.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from forensics.agent.native import build
from forensics.bundle import sha256
from forensics.capture.rights import status
from forensics.capture.runtimes import Runtime
from forensics.errors import CaptureError

_PREFIX = ".forensics-walker-"
#: seconds after which a copy that nobody removed is one whose capturing process was killed
_FORGOTTEN = 3600.0


@dataclass(frozen=True)
class Choice:
    """A walker: the native one's file (on our side), or None for the Python walker; and where it came from."""

    path: Path | None
    origin: str

    @property
    def native(self) -> bool:
        """Whether it is the native walker."""
        return self.path is not None


def choose(pid: int, runtime: Runtime, wanted: str = "auto") -> Choice:
    """The best walker for process ``pid``; may compile one, which takes a few seconds the first time.

    Parameters
    ----------
    wanted : "auto", "native" (an error where there is none) or "python"

    Raises
    ------
    CaptureError : ``wanted`` is "native" and there is none; says why.
    """
    if wanted == "python":
        return Choice(None, "asked for")
    choice = _native(pid, runtime)
    if wanted == "native" and not choice.native:
        raise CaptureError(
            f"There is no native walker for process {pid}: {choice.origin}.",
            advice="Leave --walker out: the Python walker takes a copy of the heap in memory and ten times as long.",
            pid=pid,
        )
    return choice


def _native(pid: int, runtime: Runtime) -> Choice:
    own = _own()
    ours = platform.python_version()
    if own and runtime.version == ours:
        return Choice(own, "built with this installation")
    try:
        built = _built(pid, runtime)
    except build.BuildError as error:
        reason = str(error).splitlines()[0]
    else:
        return Choice(Path(built), f"built with the headers of Python {runtime.version}")
    same_minor = runtime.version.split(".")[:2] == ours.split(".")[:2] and not runtime.version.endswith("t")
    if own and same_minor:
        return Choice(own, f"built for Python {ours}, which checks itself before it walks {runtime.version}")
    return Choice(
        None, f"the Python walker, which costs a copy of the whole heap and ten times as long: {reason}"
    )


def _own() -> Path | None:
    try:
        spec = importlib.util.find_spec("forensics.agent.native._walker")
    except ImportError:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _built(pid: int, runtime: Runtime) -> str | os.PathLike[str]:
    major, minor, *_ = runtime.version.rstrip("t").split(".")
    refusals = []
    for include in _header_folders(pid, runtime, f"python{major}.{minor}"):
        try:
            return build.build(
                runtime.version.rstrip("t"),
                f"cpython-{major}{minor}-{platform.machine()}-linux-gnu",
                include,
                usable=not runtime.version.endswith("t"),
            )
        except build.BuildError as error:
            refusals.append(error)
    # What the compiler said is worth more than that one of the folders does not exist.
    raise max(refusals, key=lambda error: "No headers" not in str(error))


def _header_folders(pid: int, runtime: Runtime, name: str) -> Iterator[Path]:
    """Where the headers of the target's interpreter may lie: beside it, in its root or in ours."""
    library = Path(runtime.library)
    prefixes = dict.fromkeys([library.parent.parent, Path("/usr/local"), Path("/usr"), Path(sys.base_prefix)])
    for root in (Path(f"/proc/{pid}/root"), Path("/")):
        for prefix in prefixes:
            folder = root / prefix.relative_to("/") / "include" / name
            if os.path.isdir(folder):
                yield folder
    yield library.parent.parent / "include" / name


@contextlib.contextmanager
def delivered(pid: int, choice: Choice) -> Iterator[str | None]:
    """The path, in the target, of a copy of the walker that its user may load; None for the Python walker.

    The target may run as another user and in another mount namespace. The copy is removed at the end; what the
    process has loaded stays loaded.

    Raises
    ------
    CaptureError : the target has no folder that we may write to and it may load from.
    """
    if choice.path is None:
        yield None
        return
    folder = _folder_in(pid)
    # The name says the contents, so that a process loads each walker once and no copy of it at each capture.
    file = folder / f"{sha256(choice.path)[:16]}-{choice.path.name}"
    try:
        shutil.copyfile(choice.path, file)
        user, group = (int(status(pid)[name].split()[1]) for name in ("Uid", "Gid"))
        file.chmod(0o500)
        if os.geteuid() == 0:
            os.chown(file, user, group)
            os.chown(folder, user, group)
        yield str(Path("/") / file.relative_to(f"/proc/{pid}/root"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder_in(pid: int) -> Path:
    tried = []
    for place in ("tmp", "dev/shm", "var/tmp", "run"):
        parent = Path(f"/proc/{pid}/root/{place}")
        try:
            if not os.statvfs(parent).f_flag & os.ST_NOEXEC:
                _remove_forgotten(parent)
                return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            tried.append(f"/{place} (noexec)")
        except OSError as error:
            tried.append(f"/{place} ({error.strerror})")
    raise CaptureError(
        f"Process {pid} has no folder to load the native walker from: {', '.join(tried)}.",
        advice="Use --walker python, which needs none.",
        pid=pid,
    )


def _remove_forgotten(parent: Path) -> None:
    for folder in parent.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _FORGOTTEN:
                shutil.rmtree(folder)
