"""pprof endpoints: what answers is told from what does not, and what is fetched is bounded; on real sockets."""

from __future__ import annotations

import gzip
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import forensics as fx
from forensics.capture import endpoint
from forensics.errors import CaptureError, FormatError, TargetError

PROFILE = (Path(__file__).parents[2] / "data" / "profiles" / "go-before.pb.gz").read_bytes()
INDEX = b"<a href='heap?debug=1'>heap</a> <a href='goroutine?debug=1'>goroutine</a>"


@contextmanager
def serving(answers):
    """A server that answers each path with (status, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers.get(self.path.partition("?")[0], (404, b"no"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("path", ["", "/debug/pprof", "/debug/pprof/", "/debug/pprof/heap?debug=1"])
def test_the_endpoint_is_found_wherever_one_points(path):
    with serving({"/debug/pprof/": (200, INDEX)}) as url:
        found = endpoint.at(url + path)
    assert (found.url, found.runtime) == (f"{url}/debug/pprof", "go")
    assert found.profiles == ("heap", "goroutine")


def test_a_memory_profile_without_an_index_is_rusts():
    with serving({"/debug/pprof/allocs": (200, PROFILE)}) as url:
        found = endpoint.at(url)
    assert (found.runtime, found.memory) == ("rust", "allocs")


def test_looking_around_asks_for_no_profile():
    """``forensics targets`` must cost nobody anything."""
    with serving({"/debug/pprof/": (200, INDEX), "/debug/pprof/heap": (200, PROFILE)}) as url:
        assert endpoint.of_process(os.getpid(), index_only=True).url == f"{url}/debug/pprof"
    with serving({"/debug/pprof/heap": (200, PROFILE)}) as url:
        assert endpoint.of_process(os.getpid(), index_only=True) is None
        assert endpoint.of_process(os.getpid()).runtime == "rust"


def test_user_and_password_are_used_and_never_shown():
    with serving({"/debug/pprof/": (200, INDEX)}) as url:
        found = endpoint.at(url.replace("http://", "http://me:secret@"))
    assert "secret" not in found.url and "secret" not in repr(found)
    assert found.address("heap", "gc=1").startswith("http://me:secret@")


@pytest.mark.parametrize("answers", [{}, {"/debug/pprof/heap": (200, b"<html>sign in</html>")}])
def test_what_is_no_endpoint_is_refused_with_the_lines_to_add(answers):
    with serving(answers) as url, pytest.raises(TargetError) as caught:
        endpoint.at(url)
    assert "net/http/pprof" in caught.value.advice


@pytest.mark.parametrize("target", ["orders", "ftp://127.0.0.1/debug/pprof", "http://"])
def test_what_is_no_url_is_refused(target):
    with pytest.raises(TargetError, match="neither a process id nor the URL"):
        fx.capture(target)


def test_nothing_answers(free_port):
    with pytest.raises(TargetError, match="did not answer"):
        endpoint.at(f"http://127.0.0.1:{free_port}/debug/pprof")


@pytest.mark.parametrize(
    "body", [b"", b"\x1f\x8b", gzip.compress(b"\0" * 100), gzip.compress(b"\0" * (80 << 20)), PROFILE[:-20]]
)
def test_hostile_answers_leave_no_capture(tmp_path, body):
    answers = {"/debug/pprof/": (200, INDEX), "/debug/pprof/heap": (200, body)}
    with serving(answers) as url, pytest.raises((FormatError, CaptureError)) as caught:
        fx.capture(url, to=tmp_path / "c")
    assert caught.value.advice and not (tmp_path / "c").exists()


def test_an_answer_without_end_is_cut(monkeypatch):
    monkeypatch.setattr(endpoint, "LARGEST_ANSWER", 1000)
    answers = {"/debug/pprof/": (200, INDEX), "/debug/pprof/heap": (200, b"x" * 5000)}
    with serving(answers) as url, pytest.raises(CaptureError, match="more than"):
        endpoint.at(url).fetch("heap")


def test_a_capture_that_was_cut_short_is_readable(tmp_path):
    answers = {
        "/debug/pprof/": (200, INDEX),
        "/debug/pprof/heap": (200, PROFILE),
        "/debug/pprof/goroutine": (500, b"out of luck"),
    }
    with serving(answers) as url, pytest.raises(CaptureError, match="answered 500: out of luck"):
        fx.capture(url, to=tmp_path / "c")
    capture = fx.open(tmp_path / "c")
    assert len(capture.memory_profiles) == 1 and not capture.manifest["complete"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, b"profile duration exceeds server's WriteTimeout"), "exceeds server's WriteTimeout"),
        # before Go 1.15 ``seconds`` was not looked at
        ((200, PROFILE), "a pprof profile of one moment"),
        ((200, b"<html>"), "decoded"),
    ],
)
def test_a_service_that_does_not_tell_what_it_allocates_is_captured_all_the_same(tmp_path, answer, said):
    answers = {
        "/debug/pprof/": (200, INDEX.replace(b"goroutine?debug", b"allocs?debug") + b"goroutine"),
        "/debug/pprof/heap": (200, PROFILE),
        "/debug/pprof/allocs": answer,
    }
    with serving(answers) as url:
        fx.capture(url, to=tmp_path / "c", allocations=1)
    capture = fx.open(tmp_path / "c")
    assert capture.manifest["complete"] and len(capture.memory_profiles) == 1 and not capture.rates
    assert said in capture.manifest["rates_refused"] and said in str(capture)


def test_options_for_python_are_refused(tmp_path):
    with serving({"/debug/pprof/": (200, INDEX)}) as url, pytest.raises(CaptureError, match="are for Python"):
        fx.capture(url, to=tmp_path / "c", in_place=True)


def test_a_rust_endpoint_does_not_know_what_is_allocated_meanwhile(tmp_path):
    with (
        serving({"/debug/pprof/heap": (200, PROFILE)}) as url,
        pytest.raises(CaptureError, match="serves what is live"),
    ):
        fx.capture(url, to=tmp_path / "c", allocations=5)
    assert not (tmp_path / "c").exists()


def test_listening_sockets_are_known():
    with serving({}) as url:
        assert int(url.rpartition(":")[2]) in [port for _, port in endpoint.listening(os.getpid())]
