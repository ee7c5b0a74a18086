"""How long the injector stops a thread: python tests/benchmarks/injector.py

Prints, for each kind of target, the median, the 95th percentile and the longest of 200 injections, and how long a
bare ``PTRACE_ATTACH`` and ``PTRACE_DETACH`` of the same process, which is the least any injector needs, stops it.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from forensics.capture.injector import inject
from forensics.capture.ptrace import ThreadGone, TracedThread
from tests.integration.running import running

TIMES = 200


def bare_stop(pid: int) -> float:
    """Seconds between a stop and its end, with nothing in between."""
    with TracedThread(pid) as thread:
        thread.stop()
        thread.registers()
        begin = thread.running_until
    return time.perf_counter() - begin


def main() -> None:
    print(
        f"{'target':<22}{'median ms':>10}{'95 %':>8}{'longest':>9}{'stops':>7}{'whole ms':>10}{'bare stop':>11}"
    )
    for arguments in (("sleep",), ("event",), ("busy",), ("malloc", "3"), ("extension",)):
        with running(*arguments) as target:
            done = [inject(target.pid, lambda page: "pass") for _ in range(TIMES)]
            try:
                bare = sorted(bare_stop(target.pid) for _ in range(TIMES))[TIMES // 2]
            except ThreadGone:
                bare = float("nan")
            stopped = sorted(each.stopped_seconds * 1e3 for each in done)
            longest = max(each.longest_stop for each in done) * 1e3
            whole = sorted(each.seconds * 1e3 for each in done)[TIMES // 2]
            print(
                f"{' '.join(arguments):<22}{stopped[TIMES // 2]:>10.3f}{stopped[TIMES * 95 // 100]:>8.3f}"
                f"{longest:>9.3f}{sum(each.stops for each in done):>7}{whole:>10.1f}{bare * 1e3:>11.3f}"
            )
            assert target.finish() == "fine"
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
