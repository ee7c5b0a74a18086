"""pprof endpoints over HTTP: found by URL or by a process's listening sockets, and fetched from.

Go's ``net/http/pprof`` serves ``/debug/pprof/`` (an index), ``heap``, ``goroutine`` and more; handlers for Rust's
jemalloc_pprof serve ``/debug/pprof/heap`` or ``/allocs`` alone.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

import psutil

from forensics.capture.asking import get
from forensics.errors import CaptureError, TargetError

#: The most one answer may hold; profiles of real services are some kB to some MB.
LARGEST_ANSWER = 64 << 20
#: Seconds to wait for an answer: a collection of a large heap comes before it.
ANSWERS_WITHIN = 60.0
#: … and for a socket that may be anything.
PROBE_WITHIN = 1.0
_USUAL_PATH = "/debug/pprof"
_PROFILES = ("heap", "allocs", "goroutine", "goroutineleak", "block", "mutex", "threadcreate", "profile")

#: What a service lacks whose memory cannot be looked at: three lines each.
ADD_AN_ENDPOINT = {
    "go": 'import _ "net/http/pprof"\n'
    'go func() { log.Println(http.ListenAndServe("127.0.0.1:6060", nil)) }()\n'
    "// run it with GODEBUG=profstackdepth=1024, so that stacks reach the handler",
    "rust": '#[global_allocator] static A: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;\n'
    '#[unsafe(export_name = "malloc_conf")] pub static CONF: &[u8] = b"prof:true,lg_prof_sample:19\\0";\n'
    "// GET /debug/pprof/heap: jemalloc_pprof::PROF_CTL.as_ref().unwrap().lock().await.dump_pprof()",
}  # fmt: skip


@dataclass(frozen=True)
class Endpoint:
    """A pprof endpoint that answered.

    Attributes
    ----------
    url : of the folder that the profiles lie in, without a slash at its end, without user and password
    runtime : go or rust
    memory : the profile to fetch: heap, or allocs where only that is served
    profiles : what its index lists; only ``memory`` where there is none
    """

    url: str
    runtime: str
    memory: str = "heap"
    profiles: tuple[str, ...] = ()
    _authority: str = field(default="", repr=False)

    def address(self, profile: str, query: str = "") -> str:
        """Where a profile is fetched; with what the user gave to log in."""
        parts = urlsplit(f"{self.url}/{profile}")
        return urlunsplit(parts._replace(netloc=self._authority or parts.netloc, query=query))

    def fetch(self, profile: str, query: str = "", *, within: float = ANSWERS_WITHIN) -> bytes:
        """One profile as it is served.

        Raises
        ------
        CaptureError : no answer in time, not 200, or more than ``LARGEST_ANSWER``.
        """
        status, body = _get(self.address(profile, query), within)
        if status != 200:
            said = body[:200].decode("utf-8", "replace").strip()
            raise CaptureError(
                f"{self.url}/{profile} was asked for and answered {status}: {said or 'nothing'}.",
                advice="See that the service is up and that the endpoint is the one you mean.",
                url=self.url,
                status=status,
            )
        return body


def at(url: str) -> Endpoint:
    """The endpoint at ``url``: the folder, its index, or one of its profiles.

    Raises
    ------
    TargetError : not a URL of HTTP, nothing answers there, or what answers is no pprof endpoint.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(
            f"{url!r} is neither a process id nor the URL of a pprof endpoint.",
            advice="Give a PID (`forensics targets` lists them), or for example http://127.0.0.1:6060/debug/pprof.",
        )
    path = parts.path.rstrip("/")
    if path.rpartition("/")[2] in _PROFILES:
        path = path.rpartition("/")[0]
    plain = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"
    plain += f":{parts.port}" if parts.port else ""
    tried = []
    for folder in dict.fromkeys((path or _USUAL_PATH, _USUAL_PATH)):
        base = urlunsplit((parts.scheme, parts.netloc, folder, "", ""))
        tried.append(urlunsplit((parts.scheme, plain, folder, "", "")))
        found = _look(base, ANSWERS_WITHIN)
        if found is not None:
            runtime, memory, profiles = found
            return Endpoint(tried[-1], runtime, memory, profiles, parts.netloc)
    raise TargetError(
        f"{' and '.join(tried)} answered, and neither with pprof's index nor with a memory profile.",
        advice="See under which path the service serves pprof; a Go service does with these lines:\n"
        + ADD_AN_ENDPOINT["go"],
        url=tried[0],
    )


def of_process(pid: int, *, index_only: bool = False) -> Endpoint | None:
    """The pprof endpoint of a process, by asking each socket it listens on; None where it has none.

    ``index_only``: ask for the index alone, which costs the process nothing. Without an index, as Rust services are,
    an endpoint is told only by a profile that it makes for us.
    """
    for host, port in listening(pid):
        name = f"[{host}]" if ":" in host else host
        base = f"http://{name}:{port}{_USUAL_PATH}"
        with contextlib.suppress(TargetError):
            found = _look(base, PROBE_WITHIN, index_only=index_only)
            if found is not None:
                runtime, memory, profiles = found
                return Endpoint(base, runtime, memory, profiles)
    return None


def required(pid: int, name: str, runtime: str) -> Endpoint:
    """The endpoint of a process, or a TargetError with the three lines that add one."""
    found = of_process(pid)
    if found is not None:
        return found
    ports = ", ".join(str(port) for _, port in listening(pid)) or "none"
    raise TargetError(
        f"Process {pid} ({name}) is a {runtime.capitalize()} process, and no socket it listens on (ports: {ports}) "
        f"serves {_USUAL_PATH}.",
        advice=f"Add an endpoint and start it again, or give its URL if it is elsewhere:\n{ADD_AN_ENDPOINT[runtime]}",
        pid=pid,
        runtime=runtime,
    )


def listening(pid: int) -> Sequence[tuple[str, int]]:
    """(address, port) of the TCP sockets a process listens on; a wildcard is asked at the loopback address."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "": "127.0.0.1"}
    found = []
    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.Process(pid).net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN:
                found.append((loopback.get(each.laddr.ip, each.laddr.ip), each.laddr.port))
    return sorted(set(found), key=lambda pair: pair[1])


def process_behind(endpoint: Endpoint) -> int | None:
    """The process of this machine that listens where a loopback endpoint leads; None where that is not to be told."""
    parts = urlsplit(endpoint.url)
    if parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        return None
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr.port == port and each.pid:
                return each.pid
    return None


def _look(base: str, within: float, *, index_only: bool = False) -> tuple[str, str, tuple[str, ...]] | None:
    """(runtime, memory profile, profiles) of what is served at ``base``; None where that is no pprof."""
    status, body = _get(f"{base}/", within)
    if status == 200 and b"goroutine" in body and b"heap" in body:
        listed = re.findall(rb"[\"']([a-z]+)\?debug=\d", body)
        names = {each.decode() for each in listed}
        return "go", "heap", tuple(name for name in _PROFILES if name in names)
    for memory in () if index_only else ("heap", "allocs"):
        status, body = _get(f"{base}/{memory}", max(within, 10.0) if status else within)
        if status == 200 and _is_memory_profile(body):
            return "rust", memory, (memory,)
    return None


def _is_memory_profile(body: bytes) -> bool:
    from forensics.formats.pprof import recognises

    if body[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(body)) as stream:
                body = stream.read(4096)
        except (OSError, EOFError, zlib.error):
            return False
    return recognises(body[:4096])


def _get(url: str, within: float) -> tuple[int, bytes]:
    return get(url, within, LARGEST_ANSWER)
