"""From a capture of about a million objects to answers: `python tests/benchmarks/heap_capture.py [items] [snapshots]`.

A service caches DynamoDB pages in a dict and in a list, and grows; it is captured, and then asked in new processes
for its holders, the diff, and the paths of the ten largest: once with nothing computed, once again with the results
kept beside the capture. Prints seconds from opening on (imports apart), and peak resident memory.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

SERVICE = """
import os, sys, forensics.agent
CACHE, TRAIL = {}, []
def item(i):
    return {"pk": {"S": f"USER#{i:09d}"}, "sk": {"S": f"ORDER#{i * 7:012d}"}, "amount": {"N": str(i * 1.5)},
            "status": {"S": "st-%d" % (i % 7)}, "created": {"S": f"2024-01-01T00:00:{i:08d}Z"},
            "email": {"S": f"user{i}@example.com"}, "tags": {"L": [{"S": f"t{i}"}, {"S": f"u{i}"}]},
            "addr": {"M": {"street": {"S": f"{i} High St"}, "zip": {"S": f"{i:05d}"}}}}
def fetch(p):
    page = {"Items": [item(p * 25 + k) for k in range(25)], "Count": 25, "ScannedCount": 25,
            "ResponseMetadata": {"RequestId": f"REQ{p:012d}", "HTTPStatusCode": 200, "RetryAttempts": 0}}
    CACHE[f"q{p}"] = page
    TRAIL.append(page)
pages = int(sys.argv[1]) // 25
for p in range(pages): fetch(p)
print("READY", flush=True)
for line in sys.stdin:
    for p in range(pages, pages + pages // 50): fetch(p)
    pages += pages // 50
    print("GROWN", flush=True)
"""


def take(items: int, snapshots: int, folder: Path) -> None:
    """One capture of several snapshots, between which the service grows by two in a hundred."""
    from forensics.acquisition import capture

    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(items)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        capture(process.pid, to=folder, snapshots=snapshots, every=4)
    finally:
        process.kill()
        process.wait()


def ask(folder: str) -> dict[str, float]:
    import forensics as fx
    from forensics.heap import HeapGraph, diff

    HeapGraph.from_arrays(
        [0, 1, 1], [1], [1, 1], [0]
    ).holders()  # numba itself, and its cache of compiled code
    imported, cpu = time.perf_counter(), time.process_time()
    capture = fx.open(folder)
    graph = capture.snapshots[-1]
    opened = time.perf_counter()
    found = graph.holders()
    if len(capture.snapshots) > 1:
        diff(list(capture.snapshots))
    for holder in list(found)[:10]:
        graph.paths_to_roots(holder.object, 5)
    return {
        "objects": len(graph),
        "open": opened - imported,
        "wall": time.perf_counter() - imported,
        "processor": time.process_time() - cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main(items: int, snapshots: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "capture"
        take(items, snapshots, folder)
        for name in ("first, kernels compiled", "first", "again"):
            if name == "first":
                shutil.rmtree(folder / "computed", ignore_errors=True)
            done = subprocess.run(
                [sys.executable, __file__, "ask", str(folder)], capture_output=True, text=True, check=True
            )
            told = json.loads(done.stdout)
            print(
                f"{name:24s} {told['objects']:,} objects, {snapshots} snapshots: opened {told['open']:.2f} s, "
                f"all {told['wall']:.2f} s ({told['processor']:.2f} s of processor), peak {told['peak']:.0f} MiB"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["ask"]:
        print(json.dumps(ask(sys.argv[2])))
    else:
        given = [int(each.replace("_", "")) for each in sys.argv[1:3]]
        main(*given, *(40_000, 2)[len(given) :])
