"""L10: async clients that are never closed, and their sockets."""

from __future__ import annotations

from forensics.dynamodb.places import clients_made
from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import contextlib

from aiobotocore.session import get_session


@contextlib.asynccontextmanager
async def lifespan(app):
    # One client from start to end; leaving the block closes its connections.
    async with get_session().create_client("dynamodb") as client:
        app.state.dynamodb = client
        yield
"""


class UnclosedTransport(Rule):
    """An aiobotocore client that is not exited keeps its aiohttp session (about 1 MB) and its sockets."""

    id = "L10"
    title = "Unclosed async client"
    runtimes = ("python", "node")
    needs = ("snapshots", "process")
    thresholds = "three aiohttp sessions or HTTP agents at one place; open sockets are evidence where they were counted"
    weight = 52
    references = References(owasp=("API4:2023",), cwe=("CWE-772", "CWE-404"))
    remediation = Remediation("Enter each async client with `async with`, one for the process.", _CODE)

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims aiohttp sessions, alone or below clients."""
        if evidence.runtime == "node":
            if suspect.dynamo_kind != Kind.HTTP_SESSION or suspect.elements[-1] < 3:
                return None
            made = [f"clients are made at {line}" for line in clients_made(evidence.sources)[:3]]
            stays = "HTTP agents of clients that were never destroyed stay with their sockets"
            return self.claim(stays, 0.8, *made)
        if suspect.dynamo_kind not in (Kind.CLIENT, Kind.HTTP_SESSION) or suspect.elements[-1] < 3:
            return None
        sessions = suspect.holds(Kind.HTTP_SESSION)
        if not sessions and not suspect.passes("aiobotocore", "contextlib.AsyncExitStack"):
            return None
        said = [f"{sessions} aiohttp sessions are held"] if sessions else []
        process = evidence.process
        if process is not None and "sockets_established" in process and len(process) > 1:
            sockets = process["sockets_established"]
            said.append(f"established sockets went from {int(sockets.iloc[0])} to {int(sockets.iloc[-1])}")
        return self.claim("async clients are entered and never exited", suspect.confidence, *said)
