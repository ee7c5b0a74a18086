"""Verdicts on real processes: one whose allocator fragments, one that leaks, one that had a burst; and by a capture."""

from __future__ import annotations

import subprocess
import sys
import threading

import httpx
import numpy as np
import pytest

from forensics.capture.request_counter import RequestCounter
from forensics.capture.take import Order, take
from forensics.growth import GrowthSeries, judge
from forensics.investigation import open_capture

#: Each round calls ``work(round)`` and prints time, resident set, bytes in use and bytes free in malloc.
PROGRAM = """
import ctypes, sys, time

libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.realloc.restype = ctypes.c_void_p
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]

class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split())]

libc.mallinfo2.restype = Mallinfo
libc.mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD: everything in the heap, as it is for the blocks of real responses

def block(size):
    address = libc.malloc(size)
    libc.memset(address, 1, size)
    return address

pins = []

def fragment(round):
    # Of every block a little is kept, where it lies; no hole is large enough for the blocks of the next round.
    size = 4096 + 256 * round
    blocks = [block(size) for _ in range(1_000_000 // size)]
    pins.extend(libc.realloc(each, 48) for each in blocks)

def leak(round):
    for _ in range(300):
        block(4096)

def burst(round):
    # One block lives on at the very end of the heap: malloc gives memory back from there only.
    if round == 25:
        for each in [block(4096) for _ in range(15000)][:-1]:
            libc.free(each)

work = globals()[sys.argv[1]]
if sys.argv[2:] == ["serve"]:
    import http.server, itertools
    from prometheus_client import Counter, generate_latest

    rounds = itertools.count()
    served = Counter("http_requests", "Requests.", ["path"])

    class Orders(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"ok"
            served.labels(self.path).inc()
            if self.path == "/metrics":
                body = generate_latest()
            else:
                work(next(rounds))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Orders)
    print(server.server_port, flush=True)
    server.serve_forever()
for round in range(100):
    work(round)
    info = libc.mallinfo2()
    resident = int(open("/proc/self/statm").read().split()[1]) * 4096
    print(time.monotonic(), resident, info.uordblks, info.fordblks, flush=True)
    time.sleep(0.11)
"""


def watched(kind: str) -> GrowthSeries:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, check=True, timeout=120
    )
    rows = np.array([[float(each) for each in line.split()] for line in done.stdout.splitlines()])
    return GrowthSeries(rows[:, 0], rows[:, 1], live=rows[:, 2], free=rows[:, 3])


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
@pytest.mark.parametrize(
    ("kind", "shape"),
    [("fragment", "fragmentation"), ("leak", "steady leak"), ("burst", "allocator high-water mark")],
)
def test_verdict_on_a_process(kind, shape):
    series = watched(kind)
    verdict = judge(series)
    print(verdict)
    assert verdict.shape == shape
    if kind == "fragment":
        # most of what it holds is free, and yet it grows
        assert series.free[-1] > 0.5 * (series.resident[-1] - series.resident[0])
        assert "lies in pieces" in verdict.because[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_a_capture_of_a_service_whose_allocator_fragments(tmp_path):
    """Seen from outside, under requests: the capture says fragmentation; what does grow holds next to nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "fragment", "serve"], stdout=subprocess.PIPE, text=True
    ) as process:
        ended = threading.Event()
        try:
            url = f"http://127.0.0.1:{int(process.stdout.readline())}/"

            def ask():
                with httpx.Client(timeout=30) as client:
                    while not ended.wait(0.1):
                        assert client.get(url).status_code == 200

            driver = threading.Thread(target=ask)
            driver.start()
            counter = RequestCounter.parse(url + 'metrics#http_requests_total{path="/"}')
            order = Order(snapshots=2, every=15, watch=15, sample_every=0.15, requests=counter)
            folder = take(process.pid, tmp_path / "capture", order)
        finally:
            ended.set()
            driver.join()
            process.kill()
    capture = open_capture(folder)
    print(capture.growth)
    assert capture.growth.shape == "fragmentation"
    assert f"{capture.growth.shape}" in str(capture)
    rise = capture.process["rss"].iloc[-1] - capture.process["rss"].iloc[0]
    # AND what a request costs, by the service's own counter, of which the pages of metrics are no part
    counted = capture.process.dropna(subset=["requests"])[["rss", "requests"]]
    more = counted.iloc[-1] - counted.iloc[0]
    each = capture.growth.bytes_per_request
    assert each.value == pytest.approx(more["rss"] / more["requests"], rel=0.3)
    assert each.low < each.value < each.high and f"{each.value:,.0f} bytes a request" in str(capture)
    loud = [each for each in capture.findings() if each.severity != "info"]
    assert {each.retainer.path for each in loud} <= {"__main__.pins"}
    assert all(each.retained_bytes < 0.1 * rise and each.dynamodb is None for each in loud)


SMALL = """
import time
PAGES = []
print("ready", flush=True)
while True:
    for number in range(300):
        PAGES.append({"Items": [{"id": {"S": f"order-{number}"}, "total": {"N": str(number)}}], "Count": 1})
    time.sleep(0.1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_a_leak_of_small_objects_is_a_leak_though_malloc_stays_flat(tmp_path):
    """CPython maps the arenas of small objects past malloc, which says nothing of them."""
    with subprocess.Popen([sys.executable, "-c", SMALL], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            folder = take(process.pid, tmp_path / "capture", Order(snapshots=1, watch=15, sample_every=0.15))
        finally:
            process.kill()
    watched = open_capture(folder).process
    rise = watched.iloc[-1] - watched.iloc[0]
    assert rise["malloc_in_use"] < 0.25 * rise["rss"], "what this test is about"
    verdict = open_capture(folder).growth
    assert verdict.shape == "steady leak", verdict
