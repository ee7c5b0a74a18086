"""Captures in a row of a busy process: python tests/benchmarks/endurance.py [CAPTURES]

500 by default, of a process whose four threads allocate, free and check blocks all the time; each capture enters it
anew, and leaves. Prints how many were whole, how long they took, and what the process had more of at the end: resident
memory, mappings, threads, descriptors. The process checks its own blocks, and must end well.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

import forensics as fx
from tests.integration.running import Running, running


def has(target: Running) -> dict[str, float]:
    """What it has that a capture could leave behind."""
    process = psutil.Process(target.pid)
    return {
        "resident MB": process.memory_info().rss / 1e6,
        "mappings": len(Path(f"/proc/{target.pid}/maps").read_text().splitlines()),
        "threads": process.num_threads(),
        "descriptors": process.num_fds(),
    }


def main() -> None:
    captures = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seconds, whole, first = [], 0, {}
    with running("malloc", "3") as target, tempfile.TemporaryDirectory() as folder:
        for number in range(captures):
            begin = time.perf_counter()
            made = fx.capture(target.pid, to=Path(folder) / str(number))
            seconds.append(time.perf_counter() - begin)
            whole += bool(fx.open(made).manifest["complete"])
            shutil.rmtree(made)
            target.unharmed()
            first = first or has(target)
        time.sleep(1)
        last = has(target)
        ended = target.finish(120)
    print(f"{whole} of {captures} captures whole; the process says at its end: {ended}")
    print(f"each took {statistics.median(seconds):.2f} s in the median, {max(seconds):.2f} s at most")
    for name, value in first.items():
        print(f"{name:<12} {value:8.1f} after the first, {last[name]:8.1f} after the last")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
