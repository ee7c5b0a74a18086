"""Opt-in provenance: which call fetched the DynamoDB data that is still in memory.

One line in the service, and an environment variable to switch it on::

    import forensics.tracing          # does nothing unless FORENSICS_TRACE=1 is set
    forensics.tracing.install()       # or: always

A capture then says of every response that is still held which operation, table and index it came from, which
line fetched it, during which request, and when. ``forensics.agent.tracing`` tells how, and what it costs.

A Node service (AWS SDK v3, Node 18 and later) uses ``NODE``, one small file that is copied beside it and needs nothing
else, as middleware of its client. Nothing of the toolkit has to be installed where the service runs::

    cp "$(python -c 'import forensics.tracing as t; print(t.NODE)')" dynamodb-tracing.cjs
    client.middlewareStack.use(require('./dynamodb-tracing.cjs'))           // in the service, once for each client
    import tracing from './dynamodb-tracing.cjs'                            // in an ES module
"""

from __future__ import annotations

from pathlib import Path

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

#: The tracer for Node, a file of JavaScript (CommonJS, which ES modules import as well).
NODE = Path(__file__).with_name("tracing.cjs")

__all__ = [
    "LIVE_LIMIT",
    "NODE",
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
