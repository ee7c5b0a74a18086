"""Opt-in provenance: which call fetched the DynamoDB data that is still in memory.

One line in the service, and an environment variable to switch it on::

    import forensics.tracing          # does nothing unless FORENSICS_TRACE=1 is set
    forensics.tracing.install()       # or: always

A capture then says of every response that is still held which operation, table and index it came from, which
line fetched it, during which request, and when. ``forensics.agent.tracing`` tells how, and what it costs.
"""

from __future__ import annotations

from forensics.agent.tracing import (
    LIVE_LIMIT,
    RELEASED_LIMIT,
    TAG_KEY,
    Tag,
    install,
    install_if_asked,
    installed,
    rows,
    sites,
    uninstall,
)

__all__ = [
    "LIVE_LIMIT",
    "RELEASED_LIMIT",
    "TAG_KEY",
    "Tag",
    "install",
    "install_if_asked",
    "installed",
    "rows",
    "sites",
    "uninstall",
]

install_if_asked()
