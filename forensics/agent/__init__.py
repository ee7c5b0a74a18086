"""What runs inside a Python service, and nothing else: standard library only, Python 3.9 and later.

``import forensics.agent`` in a service opts in to captures where ptrace is closed: it starts one idle daemon thread
that listens on a unix socket (0600, the same user or root only). Captures by PID find it by themselves. With
``FORENSICS_TRACE=1`` it also tags every DynamoDB response with the call that fetched it (``tracing.py``). The other
ways in (``sys.remote_exec``, the injector) load this same folder under the private name ``_forensics_agent`` and call
``start()``.

The toolkit's own rooms import ``forensics.agent.stream`` on the analyst's side; that starts nothing.
"""

import os
import sys

from .server import serving, socket_paths, start, stop

__all__ = ["serving", "socket_paths", "start", "stop"]


def _imported_by_the_toolkit():
    """Whether the import statement that brought us here stands in one of the toolkit's own modules."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith("importlib") and name != __name__:
            return name.split(".")[0] == "forensics"
        frame = frame.f_back
    return False


if __name__ == "forensics.agent" and not _imported_by_the_toolkit():
    start()
    if os.environ.get("FORENSICS_TRACE", "0") not in ("", "0"):
        from .tracing import install_if_asked

        install_if_asked()
