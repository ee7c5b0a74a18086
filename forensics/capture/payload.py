"""The script that starts the agent in a service: ``bootstrap.py`` with the agent inside.

It carries both twice, compiled here and as text. Whoever compiles holds the interpreter's lock throughout, and the
service stands: two milliseconds for one file of the agent, eight for all. A service that runs the same version of
Python as we do takes the compiled ones, and compiles this script alone, in a millisecond.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
import time
from importlib import resources

PRIVATE = "_forensics_agent"
#: parts of the agent's folder that only a service which imports them itself has a use for
_LEFT_OUT = ("tracing", "callsites")
#: … and those that only the Python walker needs: compiled where they are, if ever
_SELDOM = (f"{PRIVATE}.walker", f"{PRIVATE}.references")
_NAMESPACE = "{'__name__': '_forensics_bootstrap'}"


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
    give_up_at = time.time() + patience
    compiled = {name: text if name in _SELDOM else _compiled(text, name) for name, text in sources.items()}
    as_text, as_code = (
        f"{bootstrap}\n{entry}({page}, {give_up_at!r}, {modules!r}, {version!r})\n"
        for modules in (sources, compiled)
    )
    # Not ``import``: a name that the service has in __main__ must not become another's.
    loader = "__import__('_frozen_importlib_external')"
    return (
        f"exec({loader}.marshal.loads(bytes.fromhex('{_compiled(as_code, 'forensics').hex()}')) "
        f"if {loader}.MAGIC_NUMBER == {importlib.util.MAGIC_NUMBER!r} "
        f"else compile({as_text!a}, '<forensics>', 'exec'), {_NAMESPACE})\n"
    )


def _compiled(source: str, name: str) -> bytes:
    return marshal.dumps(compile(source, f"<{name}>", "exec", dont_inherit=True))


def isolated(source: str) -> str:
    """``source`` in a namespace of its own, so that ``__main__`` of the service keeps its names."""
    return f"exec(compile({source!a}, '<forensics>', 'exec'), {_NAMESPACE})\n"


def agent_sources() -> dict[str, str]:
    """Text of each module of the agent, by the private name it gets in the service."""
    found = {}
    for file in resources.files("forensics.agent").iterdir():
        name, _, suffix = file.name.partition(".")
        if suffix == "py" and name not in _LEFT_OUT:
            found[PRIVATE if name == "__init__" else f"{PRIVATE}.{name}"] = file.read_text(encoding="utf-8")
    return found
