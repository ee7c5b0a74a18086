"""Which walker fits a target: native for its very Python version, or the Python one, and what that costs."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from forensics.capture.runtimes import Runtime


@dataclass(frozen=True)
class Choice:
    """A walker: the native one's file (on our side), or None for the Python walker; and where it came from."""

    path: Path | None
    origin: str

    @property
    def native(self) -> bool:
        """Whether it is the native walker."""
        return self.path is not None


def choose(runtime: Runtime, wanted: str = "auto") -> Choice:
    """The best walker for a process of ``runtime``; ``wanted`` is auto, native or python."""
    if wanted == "python":
        return Choice(None, "asked for")
    minor = tuple(int(part) for part in runtime.version.rstrip("t").split(".")[:2])
    if minor == sys.version_info[:2] and not runtime.version.endswith("t"):
        own = _own()
        if own:
            return Choice(own, "built with this installation")
    cost = "a copy of the whole heap in memory, and ten times as long"
    return Choice(None, f"no native walker for Python {runtime.version} here; the Python walker costs {cost}")


def _own() -> Path | None:
    try:
        spec = importlib.util.find_spec("forensics.agent.native._walker")
    except ImportError:
        return None
    return Path(spec.origin) if spec and spec.origin else None
