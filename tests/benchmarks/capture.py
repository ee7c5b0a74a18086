"""Whole captures of a service by ``forensics capture``: python tests/benchmarks/capture.py [OBJECTS] [ROUNDS]

For a heap of about OBJECTS (1,000,000) objects, medians of ROUNDS (10): the longest gap of a 5 ms tick (beyond the
tick) around a bare fork of the process, during a capture, and while nothing was done, in turn and watched for as long
each; the ratio of the first two; the time from nothing to a finished bundle, starting Python included; how much more
memory service and walker take together, by PSS, than the service alone; and the most that the capturing process had
resident.

Memory is measured in every third round, and the gap in the others: the kernel tells PSS under the lock on the
process's mappings, which a fork then waits for.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

import forensics as fx
from forensics.agent.native import build
from tests.benchmarks.walker import WORKLOAD, pss


def resident_peak(pid: int) -> int:
    """The most bytes process ``pid`` has had resident so far; 0 for one that is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def family_pss(pid: int) -> int:
    """PSS of a process and its children, walkers among them."""
    try:
        children = psutil.Process(pid).children()
    except psutil.Error:
        children = []
    return pss(pid) + sum(pss(child.pid) for child in children)


def main() -> None:
    objects = sys.argv[1] if len(sys.argv) > 1 else "1000000"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    walker = build.walker_for(sys.executable)
    bare, captured, quiet, seconds, extra, peaks, manifest, alone = [], [], [], [], [], [], {}, 0
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
        for number in range(rounds + rounds // 2):
            weighing = number % 3 == 2
            ask("watch")
            begin = time.perf_counter()
            ask("bare")
            answer()
            # The longest gap grows with the time that is watched: all three are watched for as long.
            time.sleep(max(0.0, (seconds[-1] if seconds else 2.5) - (time.perf_counter() - begin)))
            bare.append(ask("gap")["gap"])
            alone = pss(pid) if weighing or not alone else alone
            ask("watch")
            begin = time.perf_counter()
            to = Path(folder) / str(number)
            command = "from forensics.cli import main; main()"
            capturing = subprocess.Popen(
                [sys.executable, "-c", command, "capture", str(pid), "--to", str(to)],
                stdout=subprocess.DEVNULL,
            )
            most, peak = 0, 0
            while capturing.poll() is None:
                peak = max(peak, resident_peak(capturing.pid))
                if weighing:
                    most = max(most, family_pss(pid))
                if (to / "manifest.json").exists() and len(seconds) == number:
                    manifest = json.loads((to / "manifest.json").read_text())
                    if manifest["complete"]:
                        seconds.append(time.perf_counter() - begin)
                time.sleep(0.01)
            assert capturing.returncode == 0
            if len(seconds) == number:
                seconds.append(time.perf_counter() - begin)
            gap = ask("gap")["gap"]
            time.sleep(seconds[-1])
            if weighing:
                extra.append(max(0, most - alone) / alone)
            else:
                captured.append(gap)
                quiet.append(ask("gap")["gap"])
            peaks.append(peak)
            manifest = fx.open(to).manifest
        service.stdin.close()
    median = statistics.median
    snapshot = manifest["snapshots"][0]
    print(f"{snapshot['objects']:,} objects, {snapshot['references']:,} references, {alone / 1e6:.0f} MB PSS")
    print(
        f"gap of a 5 ms tick, bare fork  median {median(bare) * 1e3:7.1f} ms, worst {max(bare) * 1e3:7.1f} ms"
    )
    print(
        f"gap of a 5 ms tick, capture    median {median(captured) * 1e3:7.1f} ms, worst {max(captured) * 1e3:7.1f} ms"
    )
    print(
        f"the same, nothing done         median {median(quiet) * 1e3:7.1f} ms, worst {max(quiet) * 1e3:7.1f} ms"
    )
    print(f"capture against a bare fork    {median(captured) / median(bare):.2f}")
    print(f"to the finished bundle         median {median(seconds):.2f} s, worst {max(seconds):.2f} s")
    print(
        f"extra memory, walker included  median {median(extra) * 100:.1f} %, worst {max(extra) * 100:.1f} %"
    )
    print(f"the capturing process had      {max(peaks) / 1e6:.0f} MB resident at most")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


if __name__ == "__main__":
    main()
