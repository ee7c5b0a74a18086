"""The script that starts the agent in a service: the text of ``bootstrap.py`` with the agent's source inside."""

from __future__ import annotations

import hashlib
import time
from importlib import resources

PRIVATE = "_forensics_agent"
#: parts of the agent's folder that only a service which imports them itself has a use for
_LEFT_OUT = ("tracing", "callsites")


def agent_script(page: int = 0, *, patience: float = 20.0, in_main_thread: bool = False) -> str:
    """Python source that starts the agent in the process that runs it, and changes nothing else there.

    Parameters
    ----------
    page : where to tell of an error, see ``injector.inject``
    patience : seconds from now after which the script does nothing
    in_main_thread : whether the script runs in the service's own thread, and so has to leave it at once
    """
    bootstrap = resources.files("forensics.capture").joinpath("bootstrap.py").read_text(encoding="utf-8")
    entry = "start_soon" if in_main_thread else "start"
    sources = agent_sources()
    version = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()
    call = f"\n{entry}({page}, {time.time() + patience!r}, {sources!r}, {version!r})\n"
    return isolated(bootstrap + call)


def isolated(source: str) -> str:
    """``source`` in a namespace of its own, so that ``__main__`` of the service keeps its names."""
    return f"exec(compile({source!a}, '<forensics>', 'exec'), {{'__name__': '_forensics_bootstrap'}})\n"


def agent_sources() -> dict[str, str]:
    """Text of each module of the agent, by the private name it gets in the service."""
    found = {}
    for file in resources.files("forensics.agent").iterdir():
        name, _, suffix = file.name.partition(".")
        if suffix == "py" and name not in _LEFT_OUT:
            found[PRIVATE if name == "__init__" else f"{PRIVATE}.{name}"] = file.read_text(encoding="utf-8")
    return found
