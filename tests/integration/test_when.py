"""``--when``: a real process grows, and the snapshot is taken when it happens; the first one at the start."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from forensics.capture.take import Order, take
from forensics.growth.triggers import Bounds, Watch, parse
from forensics.investigation import open_capture
from forensics.plots.series import growth

PROGRAM = """
import sys, time
KEPT = []
print("ready", flush=True)
sys.stdin.readline()
for line in range(100):
    KEPT.append(bytes(b"x" * 2_000_000))
    time.sleep(0.1)
sys.stdin.readline()
"""


def resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize("condition", ["rss > {limit}B", "growth > 30MB/min for 2s"])
def test_a_snapshot_is_taken_when_it_happens(tmp_path, condition):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            before = resident(process.pid)
            asked = parse(condition.format(limit=before + 40_000_000))
            # GIVEN a watch that waits for no pause after its baseline, and two snapshots at most
            watch = Watch([asked], Bounds(snapshots=2, seconds_between=0))
            order = Order(snapshots=0, trigger=watch, watch=120, sample_every=0.2)
            folder = tmp_path / "capture"
            capturing = threading.Thread(target=take, args=(process.pid, folder, order))
            capturing.start()
            while capturing.is_alive() and not watch.taken_bytes:
                capturing.join(0.1)
            # WHEN the process begins to grow once the baseline is taken
            process.stdin.write("go\n")
            process.stdin.flush()
            capturing.join(240)
        finally:
            process.kill()
    # THEN the second snapshot says why it was taken, and shows what grew
    capture = open_capture(folder)
    first, second = capture.manifest["snapshots"]
    assert "baseline" in first["reason"] and second["reason"] == asked.text
    (grown,) = [each for each in capture.findings() if each.retainer.path == "__main__.KEPT"]
    assert grown.growth.shape == "growing" and grown.retained_bytes > 2_000_000
    # AND both are marked on the series, each at its own second
    figure = growth(capture)
    marks = [mark.text for mark in figure.layout.annotations]
    assert {"snapshot 0", "snapshot 1"} <= set(marks)
    seconds = [line.x0 for line in figure.layout.shapes if line.line.dash == "dot"]
    assert len(seconds) == 2 and seconds[1] - seconds[0] == pytest.approx(capture.times[1] - capture.times[0])
