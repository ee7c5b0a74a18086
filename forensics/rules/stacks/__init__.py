"""Patterns by allocation stacks, for captures that hold no object graph; one a file."""

from __future__ import annotations

from forensics.rules.stacks.l01_whole_response import WHOLE_RESPONSE
from forensics.rules.stacks.l02_accumulated_pages import ACCUMULATED_PAGES
from forensics.rules.stacks.l03_map_grows import MAP_GROWS
from forensics.rules.stacks.l04_client_per_request import CLIENT_PER_REQUEST
from forensics.rules.stacks.l05_session_per_request import SESSION_PER_REQUEST
from forensics.rules.stacks.l16_retries import RETRIES
from forensics.rules.stacks.stack_rule import StackRule

__all__ = ["STACK_RULES", "StackRule"]

#: The registry, the more telling first: a session holds clients, a client is made before a call is. The last one
#: takes what is left.
STACK_RULES: tuple[StackRule, ...] = (
    SESSION_PER_REQUEST,
    CLIENT_PER_REQUEST,
    RETRIES,
    ACCUMULATED_PAGES,
    MAP_GROWS,
    WHOLE_RESPONSE,
)
