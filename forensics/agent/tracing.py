"""Tags every DynamoDB response of this process with the call that fetched it, through botocore's own events.

A response is a plain ``dict``, which cannot be weakly referenced and does not know where it came from. The
tracer puts a ``Tag`` into its ``ResponseMetadata``; the tag lives exactly as long as the metadata does, so a
capture can tell "fetched by ``Scan`` of ``Orders`` at ``orders/db.py:41``" of everything that is still here.

Two events are listened to, both at session level, so that every later client inherits them (boto3, botocore
and aiobotocore alike): ``provide-client-params`` sees the parameters, ``after-call`` the parsed response;
botocore passes one ``context`` dict to both. ``tests/benchmarks/tracing.py`` measures what it costs.

Only the standard library, Python 3.9 and later; nothing of the toolkit is needed beside this folder.
"""

import collections
import gc
import os
import sys
import time
import weakref
from typing import Callable, Deque, Dict, Tuple

from . import callsites

#: The key inside ``ResponseMetadata``.
TAG_KEY = "ForensicsTag"
#: Responses still alive that are listed one by one, the oldest; later ones are only counted per call site.
LIVE_LIMIT = 50_000
#: Responses already released that are remembered.
RELEASED_LIMIT = 2_000
#: Call sites, file names, table names and page tokens remembered at most.
CACHE_LIMIT = 4_096

_SERVICES = ("dynamodb", "dynamodb-streams")
_CONTEXT_KEY = "forensics-tag"


class Tag(str):
    """The sign inside ``ResponseMetadata``; a text (the call site), so that responses still encode.

    ``json``, ``orjson``, ``msgpack`` and pydantic take it for a string; pickling makes a plain ``str`` of it.
    A copy of the response shares the tag: as long as one of them is alive, the data is here.
    """

    __slots__ = ("_released", "note", "__weakref__")  # noqa: RUF023

    note: "Note"
    _released: Callable[[int, "Note"], None]

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce_ex__(self, protocol):
        return (str, (str(self),))

    def __del__(self):
        released = getattr(self, "_released", None)
        if released is not None:
            released(id(self), self.note)


class Site:
    """One place in the program that calls DynamoDB, and what it has fetched."""

    __slots__ = ("code", "file", "function", "issued", "label", "line", "released")

    def __init__(self, code, line):
        self.code = code  # keeps id(code), by which sites are found, from being given to another
        self.file = code.co_filename if code is not None else None
        self.function = getattr(code, "co_qualname", None) or (code.co_name if code is not None else None)
        self.line = line
        self.label = "{}:{}".format(self.file, line) if code is not None else "unknown"
        self.issued = 0
        self.released = 0


_NOWHERE = Site(None, None)

#: What is known of one response; ``site`` is a Site, ``time`` seconds since the epoch.
Note = collections.namedtuple("Note", "operation tables index request_id page site time context")


class Tracer:
    """The two event handlers and what they have seen; holds no response, no parameters, no client."""

    def __init__(self, live_limit=LIVE_LIMIT, released_limit=RELEASED_LIMIT):
        self._live_limit = live_limit
        self._released_limit = released_limit
        self.begin()
        self.active = False

    def begin(self):
        """Listen, with nothing seen so far."""
        self.active = True
        self.failures = 0
        self._live: Dict[int, weakref.ref] = {}  # by id(tag)
        self._recent: Deque[Tuple[int, Note]] = collections.deque(maxlen=self._released_limit)
        self._rooms: Dict[str, int] = {}  # by file name
        self._sites: Dict[Tuple[int, int], Site] = {}  # by id(code) and instruction
        self._tables: Dict[str, Tuple[str, ...]] = {}  # by TableName
        self._pages: Dict[int, int] = {}  # number of the page that came with this LastEvaluatedKey
        self._routes_wrapped = False

    # -- the two events --------------------------------------------------------------------------------------

    def on_params(self, params, model, context, **_):
        """``provide-client-params``: note table, call site and page while they are at hand."""
        if not self.active:
            return
        try:
            if not self._routes_wrapped and "starlette.routing" in sys.modules:
                self.wrap_routes()
            name = params.get("TableName")
            tables = self._tables.get(name) if type(name) is str else None
            if tables is None:
                tables = callsites.table_names(params)
                if type(name) is str:
                    self._remember(self._tables, name, tables)
            start = params.get("ExclusiveStartKey")
            page = 1 if start is None else self._pages.get(callsites.fingerprint(tables, start), 1) + 1
            context[_CONTEXT_KEY] = (
                model.name,
                tables,
                params.get("IndexName"),
                page,
                self._site(sys._getframe(1)),
            )
        except Exception:  # the service must never notice us
            self.failures += 1

    def on_response(self, parsed, context, **_):
        """``after-call``: put the tag into the parsed response."""
        begun = context.pop(_CONTEXT_KEY, None) if context else None
        if begun is None:
            return
        try:
            metadata = parsed.get("ResponseMetadata")
            if metadata is None:
                return
            operation, tables, index, page, site = begun
            token = parsed.get("LastEvaluatedKey")
            if token:
                self._remember(self._pages, callsites.fingerprint(tables, token), page)
            tag = Tag(site.label)
            tag.note = Note(
                operation,
                tables,
                index,
                metadata.get("RequestId"),
                page,
                site,
                time.time(),
                callsites.served(),
            )
            tag._released = self._on_release
            site.issued += 1
            if len(self._live) < self._live_limit:
                self._live[id(tag)] = weakref.ref(tag)
            metadata[TAG_KEY] = tag
        except Exception:
            self.failures += 1

    def on_client(self, **_):
        """``creating-client-class``: by now the application's framework is usually imported."""
        if self.active and not self._routes_wrapped and "starlette.routing" in sys.modules:
            self.wrap_routes()

    def _on_release(self, address, note):
        # Runs wherever the last reference goes, the collector included: no lock, nothing that can wait.
        self._live.pop(address, None)
        note.site.released += 1
        self._recent.append((address, note))

    # -- what was seen ---------------------------------------------------------------------------------------

    def rows(self):
        """One dict per response: those still held first, oldest first, then the latest released ones."""
        held = [tag for tag in (reference() for reference in _settled(self._live.values)) if tag is not None]
        rows = [_row(id(tag), tag.note, True) for tag in held]
        rows.sort(key=lambda row: row["time"])
        rows.extend(_row(address, note, False) for address, note in _settled(self._recent.copy))
        return rows

    def sites(self):
        """One dict per call site: responses issued and still held, exact also beyond ``LIVE_LIMIT``."""
        return [
            {
                "file": site.file,
                "line": site.line,
                "function": site.function,
                "issued": site.issued,
                "held": site.issued - site.released,
            }
            for site in [_NOWHERE, *_settled(self._sites.values)]
            if site.issued
        ]

    # -- botocore --------------------------------------------------------------------------------------------

    def listen(self, emitter):
        """Register on an event emitter (a session's or a client's); a second time changes nothing."""
        for service in _SERVICES:
            emitter.register(
                "provide-client-params." + service, self.on_params, "forensics-params-" + service
            )
            emitter.register_last("after-call." + service, self.on_response, "forensics-response-" + service)
            emitter.register(
                "creating-client-class." + service, self.on_client, "forensics-client-" + service
            )

    def on_session(self, session):
        """Every new botocore session (boto3's and aiobotocore's too) passes here."""
        if self.active:
            self.listen(session.get_component("event_emitter"))

    def wrap_routes(self):
        """Let the framework's routes say which one is being served, once the framework is loaded."""
        self._routes_wrapped = True
        callsites.wrap_routes()

    # -- details ---------------------------------------------------------------------------------------------

    def _site(self, frame):
        rooms = self._rooms
        library = None
        while frame is not None:
            file = frame.f_code.co_filename
            room = rooms.get(file)
            if room is None:
                room = self._remember(rooms, file, callsites.room(file))
            if room:
                if room == callsites.APPLICATION:
                    break
                if library is None:
                    library = frame
            frame = frame.f_back
        if frame is None:
            frame = library
            if frame is None:
                return _NOWHERE
        code = frame.f_code
        key = (id(code), frame.f_lasti)
        site = self._sites.get(key)
        if site is None:
            site = self._remember(self._sites, key, Site(code, frame.f_lineno))
        return site

    @staticmethod
    def _remember(cache, key, value):
        if len(cache) >= CACHE_LIMIT:
            # The first key is the oldest; another thread may have taken it meanwhile.
            cache.pop(next(iter(cache)), None)
        cache[key] = value
        return value


def _settled(view):
    """A list of ``view()``, which other threads and finalizers may change while it is read."""
    for _ in range(100):
        try:
            return list(view())
        except RuntimeError:
            continue
    return []


def _row(address, note, held):
    site = note.site
    return {
        "tag_address": address,
        "operation": note.operation,
        "tables": list(note.tables),
        "index": note.index,
        "request_id": note.request_id,
        "page": note.page,
        "file": site.file,
        "line": site.line,
        "function": site.function,
        "time": note.time,
        "context": note.context,
        "held": held,
    }


#: The one tracer of this process; outlives ``uninstall``: sessions that have its handlers take no other's.
_tracer = Tracer()


def install(existing=True):
    """Begin to tag responses; returns False where botocore is not to be had. A second call changes nothing.

    With ``existing`` the sessions and clients that are already there are found on the collector's lists (one
    pass, about 0.1 s for each million objects) and listened to as well.
    """
    if _tracer.active:
        return True
    try:
        import botocore.client
        import botocore.session
    except ImportError:
        return False
    _tracer.begin()
    botocore.register_initializer(_tracer.on_session)
    if existing:
        for found in gc.get_objects():
            # type(), not isinstance(): a proxy's __class__ would run the application's code
            kind = type(found)
            try:
                if issubclass(kind, botocore.session.Session):
                    _tracer.listen(found.get_component("event_emitter"))
                elif issubclass(kind, botocore.client.BaseClient):
                    _tracer.listen(found.meta.events)
            except Exception:  # still under construction in another thread
                _tracer.failures += 1
        del found
    if "starlette.routing" in sys.modules:
        _tracer.wrap_routes()
    return True


def uninstall():
    """Stop tagging and forget what was seen: the handlers in existing sessions and clients return at once."""
    if _tracer.active:
        import botocore

        _tracer.begin()
        _tracer.active = False
        callsites.unwrap_routes()
        botocore.unregister_initializer(_tracer.on_session)


def installed():
    """Whether responses are being tagged."""
    return _tracer.active


def install_if_asked():
    """``install()`` where the environment says ``FORENSICS_TRACE=1``."""
    return os.environ.get("FORENSICS_TRACE", "") not in ("", "0") and install()


def rows():
    """What was noted, one dict per response; see ``Tracer.rows``. Empty where nothing is installed."""
    return _tracer.rows()


def sites():
    """What was noted, one dict per call site; see ``Tracer.sites``."""
    return _tracer.sites()
