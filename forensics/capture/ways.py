"""The ways into a Python process, in the order in which they are tried."""

from __future__ import annotations

from forensics.capture.link import AgentLink
from forensics.errors import TargetError


def enter(pid: int, via: str = "auto") -> AgentLink:
    """A link to the agent in process ``pid``, which is loaded into it where it is not there yet."""
    link = AgentLink(pid)
    if link.alive():
        return link
    raise TargetError(
        f"No agent answers in process {pid}.", advice="Run `import forensics.agent` in the service."
    )
