"""The native walker against a bare fork of the same process: the service's longest wait, and the extra memory.

    python tests/benchmarks/walker.py [OBJECTS] [ROUNDS]

Prints, for a heap of about OBJECTS (1,000,000) objects, medians of ROUNDS (10): the longest gap of a 5 ms tick (beyond
the tick) around a fork that does nothing and around a snapshot; their ratio; the time to the end of the stream; and
how much more memory service and child take together, by PSS, than the service alone.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from forensics.agent.native import build

WORKLOAD = Path(__file__).parent / "workloads" / "cached_responses.py"


def pss(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ProcessLookupError):
        pass
    return 0


class Drain(threading.Thread):
    """Reads a named pipe to its end, and counts."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path, self.bytes, self.tail = path, 0, b""
        self.start()

    def run(self) -> None:
        with open(self.path, "rb", buffering=0) as stream:
            while data := stream.read(1 << 20):
                self.bytes += len(data)
                self.tail = (self.tail + data)[-4096:]


def main() -> None:
    objects = sys.argv[1] if len(sys.argv) > 1 else "1000000"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    walker = build.walker_for(sys.executable)
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [sys.executable, str(WORKLOAD), str(walker), objects],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as service,
    ):
        assert service.stdin is not None
        assert service.stdout is not None
        stdin, stdout = service.stdin, service.stdout

        def answer() -> dict[str, Any]:
            return json.loads(stdout.readline())

        def ask(command: str) -> dict[str, Any]:
            stdin.write(command + "\n")
            stdin.flush()
            return answer()

        pid = answer()["ready"]
        fifo = os.path.join(folder, "stream")
        os.mkfifo(fifo)
        bare, walked, seconds, extra, walking, pauses, forked, found = [], [], [], [], [], [], [], {}
        for _ in range(rounds):
            forked.append(ask("bare")["pause"])
            bare.append(answer()["gap"])
            alone = pss(pid)
            drain = Drain(fifo)
            begin = time.perf_counter()
            started = ask(f"walk {fifo}")
            peak = 0
            while drain.is_alive():
                peak = max(peak, pss(pid) + pss(started["child_pid"]))
                time.sleep(0.02)
            seconds.append(time.perf_counter() - begin)
            walked.append(answer()["gap"])
            extra.append(max(0, peak - alone) / alone)
            pauses.append(started["pause_seconds"])
            found = json.loads(drain.tail[drain.tail.rindex(b'{"objects"') :])
            walking.append(found["seconds"])
        service.stdin.close()
    median = statistics.median
    print(f"{found['objects']:,} objects, {found['edges']:,} edges, {alone / 1e6:.0f} MB PSS")
    report = [
        ("gap of a 5 ms tick, bare fork", bare),
        ("gap of a 5 ms tick, snapshot", walked),
        ("pause of the call, bare fork", forked),
        ("pause of the call, snapshot", pauses),
        ("walk in the child", walking),
        ("to the end of the stream", seconds),
    ]
    for name, values in report:
        print(f"{name:32} median {median(values) * 1e3:7.2f} ms, worst {max(values) * 1e3:7.2f} ms")
    print(f"gap against a bare fork          {median(walked) / median(bare):.2f}")
    print(f"pause against a bare fork        {median(pauses) / median(forked):.2f}")
    print(
        f"extra memory, child included     median {median(extra) * 100:.1f} %, worst {max(extra) * 100:.1f} %"
    )


if __name__ == "__main__":
    main()
