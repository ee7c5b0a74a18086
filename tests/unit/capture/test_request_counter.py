"""A counter of requests on a real page of Prometheus metrics: what is added up, and what is told where it is not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from forensics.capture import request_counter
from forensics.capture.request_counter import RequestCounter
from forensics.errors import ForensicsError


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    registry = CollectorRegistry()
    served = Counter("http_requests", "Requests.", ["handler", "status"], registry=registry)
    served.labels("/orders", "200").inc(7)
    served.labels("/orders", "500").inc(2)
    served.labels('/say "hi"', "200").inc(30)
    Histogram("request_seconds", "Time.", registry=registry).observe(0.1)
    Gauge("idle", "Never served.", ["pool"], registry=registry)
    Gauge("unknown", "Not a number.", registry=registry).set(float("nan"))
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("http_requests_total", 39),
        ('http_requests_total{handler="/orders"}', 9),
        ('http_requests_total{status="200",handler="/orders"}', 7),
        (r'http_requests_total{handler="/say \"hi\""}', 30),
        ("request_seconds_count", 1),
    ],
)
def test_series_that_match_are_added_up(page: str, metric: str, value: int) -> None:
    assert RequestCounter.parse(f"{page}#{metric}").read() == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#http_requests_total",
        "http://127.0.0.1/metrics",
        "http://127.0.0.1/metrics#",
        "file:///etc/passwd#http_requests_total",
        "http:///metrics#x",
        "http://127.0.0.1/metrics#two words",
        "http://127.0.0.1/metrics#a 1\nb",
        'http://127.0.0.1/metrics#x{handler="',
        "http://127.0.0.1/metrics#{}",
        "http://[half/metrics#x",
    ],
)
def test_what_names_no_counter_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ForensicsError, match="names no counter") as caught:
        RequestCounter.parse(text)
    assert "http://127.0.0.1:8000/metrics#http_requests_total" in str(caught.value.advice)


def test_a_name_that_is_not_there_is_told_with_those_that_are(page: str) -> None:
    for metric in ("requests", 'http_requests_total{handler="/none"}', "unknown", "idle"):
        counter = RequestCounter.parse(f"{page}#{metric}")
        with pytest.raises(ForensicsError, match="has no series of") as caught:
            counter.read()
        assert str(caught.value.advice).startswith(
            "Its counters are: http_requests_total, request_seconds_count"
        )
        assert counter.now() is None


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"nothing here", "answered 404"),
        (307, b"", "answered 307.\n.*with a slash at its end"),
        (200, b"<html><body>Hello {</body></html>", "not with Prometheus' text format"),
        (200, b"\xff\xfe\x00", "not with Prometheus' text format"),
        (200, b"", "has no series of"),
        (200, b"x 1\n" * 2000, "more than"),
    ],
)
def test_a_page_of_something_else(monkeypatch, status: int, body: bytes, said: str) -> None:
    monkeypatch.setattr(request_counter, "LARGEST_PAGE", 4096)
    with answering(status, body) as url:
        with pytest.raises(ForensicsError, match=said) as caught:
            RequestCounter.parse(f"{url}#http_requests_total").read()
        assert caught.value.advice


def test_a_password_in_the_url_is_not_told() -> None:
    counter = RequestCounter.parse("http://someone:secret@127.0.0.1:1/metrics?token=secret#x_total")
    with pytest.raises(ForensicsError) as caught:
        counter.read()
    assert "secret" not in str(caught.value) + repr(counter)
