"""L03: a cache by key without a maximum size."""

from __future__ import annotations

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

_CODE = """\
import threading
import time
from collections import OrderedDict


class BoundedCache:
    # At most ``maximum`` entries, none older than ``seconds``; the least recently used one goes first.
    def __init__(self, maximum=1000, seconds=60.0):
        self._entries, self._lock = OrderedDict(), threading.Lock()
        self._maximum, self._seconds = maximum, seconds

    def get(self, key, load):
        now = time.monotonic()
        with self._lock:
            born, value = self._entries.get(key, (0.0, None))
            if value is not None and now - born < self._seconds:
                self._entries.move_to_end(key)
                return value
        value = load()
        with self._lock:
            self._entries[key] = now, value
            self._entries.move_to_end(key)
            while len(self._entries) > self._maximum:
                self._entries.popitem(last=False)
        return value
"""

_MAPPINGS = (
    "dict",
    "OrderedDict",
    "defaultdict",
    "Counter",
    "Dictionary",
    "Cache",
    "_lru_cache_wrapper",
    "Map table",
)


class UnboundedCache(Rule):
    """A mapping gets an entry for every new key and loses none."""

    id = "L03"
    title = "Unbounded keyed cache"
    runtimes = ("python", "node")
    needs = ("snapshots",)
    thresholds = "the container is a mapping or lru_cache(maxsize=None); one with a maximum is left to FP4"
    weight = 30
    references = References(owasp=("API4:2023", "API3:2023"), cwe=("CWE-770", "CWE-401"))
    remediation = Remediation(
        "Give the cache a maximum size and a time to live, and keep only the attributes that are used.", _CODE
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims mappings of DynamoDB data."""
        sdk = (Kind.CLIENT, Kind.RESOURCE, Kind.TABLE, Kind.SESSION, Kind.HTTP_SESSION)
        if not suspect.is_dynamodb or suspect.dynamo_kind in sdk or suspect.bounded:
            return None
        mapping = suspect.container_type.endswith(_MAPPINGS) or suspect.kind == "cache"
        if evidence.runtime == "node" and suspect.container_type == "Object":
            mapping = True  # an object whose properties come together by key
        # A dict of lists grows by keys too.
        if not mapping and not suspect.outer_type.endswith(_MAPPINGS):
            return None
        where = "lru_cache without a maximum" if suspect.kind == "cache" else "a cache without a maximum size"
        return self.claim(f"{where} keeps what is read", suspect.confidence)
