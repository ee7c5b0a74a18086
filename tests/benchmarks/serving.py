"""What the clients of a uvicorn service see while it is captured: python tests/benchmarks/serving.py [CAPTURES]

For uvloop and asyncio, with one worker and two: 8 clients ask as fast as they are answered, for some seconds with
nothing else going on, and then for as long as 20 captures take. Prints requests, failed requests (there must be none)
and percentiles of the time an answer took, without captures and with them, side by side.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import forensics as fx
from forensics.specimens.program import free_port
from tests.integration.serving import Answers, served, under_load, uvicorn

QUIET_SECONDS = 15.0


def row(name: str, seen: Answers) -> str:
    times = "".join(f"{seen.percentile(share) * 1e3:>9.1f}" for share in (0.5, 0.99, 0.999, 1.0))
    return f"{name:<30}{len(seen.seconds):>10}{seen.failed:>8}{times}"


def main() -> None:
    captures = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(f"{'':<30}{'requests':>10}{'failed':>8}{'50 %':>9}{'99 %':>9}{'99.9 %':>9}{'longest':>9}   ms")
    for loop in ("uvloop", "asyncio"):
        for workers in (1, 2):
            port = free_port()
            with served(uvicorn(port, loop, workers), port, workers) as service:
                with under_load(port) as quiet:
                    time.sleep(QUIET_SECONDS)
                with tempfile.TemporaryDirectory() as folder, under_load(port) as captured:
                    for number in range(captures):
                        to = Path(folder) / str(number)
                        fx.capture(service.workers[number % workers], to=to)
                        shutil.rmtree(to)
            print(row(f"{loop}, {workers} worker(s), no capture", quiet[0]))
            print(row(f"{loop}, {workers} worker(s), {captures} captures", captured[0]), flush=True)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, the clients' included")


if __name__ == "__main__":
    main()
