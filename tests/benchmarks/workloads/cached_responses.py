"""A service with a heap of raw DynamoDB responses and a tick every 5 ms that tells how long it was kept waiting.

usage: cached_responses.py WALKER OBJECTS

``OBJECTS`` is about how many objects the heap gets: pages of 25 items, each item 17 dicts, 2 lists and a dozen strings,
each page held by a dict and by a list. Commands on standard input, one JSON line each on standard output:
``bare`` forks a child that does nothing, and ends it; ``walk FIFO`` snapshots into a named pipe; both tell the
longest gap between two ticks around the call. ``gap`` tells the longest one since ``watch``.
"""

import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time
from importlib import machinery, util

loader = machinery.ExtensionFileLoader("_walker", sys.argv[1])
walker = util.module_from_spec(util.spec_from_loader("_walker", loader))
loader.exec_module(walker)

ITEMS_A_PAGE = 25
OBJECTS_A_PAGE = 645
CACHE = {}
PAGES = []


def item(n):
    return {
        "pk": {"S": f"CUSTOMER#{n:09d}"},
        "sk": {"S": f"ORDER#{n * 7:012d}"},
        "total": {"N": str(n * 1.25)},
        "state": {"S": f"state-{n % 5}"},
        "placed": {"S": f"2026-01-01T00:00:{n:08d}Z"},
        "mail": {"S": f"customer{n}@example.com"},
        "labels": {"L": [{"S": f"a{n}"}, {"S": f"b{n}"}]},
        "address": {"M": {"street": {"S": f"{n} High Street"}, "zip": {"S": f"{n:05d}"}}},
    }


def page(p):
    return {
        "Items": [item(p * ITEMS_A_PAGE + k) for k in range(ITEMS_A_PAGE)],
        "Count": ITEMS_A_PAGE,
        "LastEvaluatedKey": {"pk": {"S": f"CUSTOMER#{p}"}},
        "ResponseMetadata": {"RequestId": f"REQUEST{p:012d}", "HTTPStatusCode": 200, "RetryAttempts": 0},
    }


for number in range(int(sys.argv[2]) // OBJECTS_A_PAGE):
    response = page(number)
    CACHE[f"q{number}"] = response
    PAGES.append(response)
gc.collect()

ticks = []
requests, answers = [], []
libc = ctypes.CDLL(None)


def bare_fork():
    """fork() alone, as os.fork does it but with no Python in the child."""
    raw = ctypes.PyDLL(None)  # keeps the interpreter lock, as a snapshot does
    begin = time.perf_counter()
    pid = raw.fork()
    if pid == 0:
        # Where a thread was waiting for the interpreter's lock at the fork, the child lets go of it here, and waits for
        # ever for a thread that it has not: as idle as asleep. The parent ends it.
        raw.usleep(10_000_000)
        raw._exit(0)
    return {"pause": time.perf_counter() - begin, "pid": pid}


def serve():
    watched = 0.0
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word in ("watch", "gap"):
            print(
                json.dumps({"gap": max((gap for at, gap in list(ticks) if at >= watched), default=0.0)}),
                flush=True,
            )
            watched = time.perf_counter()
            continue
        time.sleep(0.05)
        begin = time.perf_counter()
        if word == "bare":
            answer = bare_fork()
            pid = answer["pid"]

            def finish(pid=pid):
                time.sleep(0.3)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

        else:
            fd = os.open(rest, os.O_WRONLY)
            begin = time.perf_counter()
            answer = walker.snapshot(fd, b"{}", {})
            os.close(fd)
            finish = lambda pid=answer["child_pid"]: walker.wait(pid, 60.0)  # noqa: E731
        print(json.dumps(answer), flush=True)
        finish()
        end = time.perf_counter()
        time.sleep(0.05)
        seen = [(at, gap) for at, gap in ticks if begin <= at <= end + 0.05]
        gap = max((gap for _, gap in seen), default=0.0)
        print(json.dumps({"gap": gap, "seconds": end - begin}), flush=True)


def main():
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    last = time.perf_counter()
    while thread.is_alive():
        time.sleep(0.005)
        now = time.perf_counter()
        ticks.append((now, now - last - 0.005))
        del ticks[:-20000]
        last = now


main()
