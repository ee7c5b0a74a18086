"""Snapshots while memray writes down every allocation: the walker's child must not write into memray's file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import memray
import pytest

import forensics as fx
from forensics.capture import injector

pytestmark = pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or "")

PROGRAM = """
import sys, threading, time
import memray

KEPT = {}

def keep(number):
    KEPT[number] = {"Items": [{"pk": {"S": f"c-{number}-{k}"}} for k in range(10)]}

def work():
    number = 0
    while True:
        keep(number % 3000)
        number += 1
        time.sleep(0.0005)

destination = memray.FileDestination(sys.argv[1], compress_on_exit=False)
with memray.Tracker(destination=destination, trace_python_allocators=True):
    threading.Thread(target=work, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.readline()
print("ended", flush=True)
"""

READ = """
import sys, memray
print(sum(1 for _ in memray.FileReader(sys.argv[1]).get_allocation_records()))
"""


@pytest.mark.parametrize("walker", ["native", "python"])
def test_memrays_file_stays_whole(walker: str, tmp_path: Path) -> None:
    file = tmp_path / "all.bin"
    command = [sys.executable, "-c", PROGRAM, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        fx.capture(process.pid, to=tmp_path / "capture", snapshots=4, every=0.3, walker=walker)
        out, _ = process.communicate("\n", timeout=30)
        assert out == "ended\n"
    # Reading a damaged file ends memray's reader by a signal: it does not raise.
    read = subprocess.run(
        [sys.executable, "-c", READ, str(file)], capture_output=True, text=True, timeout=120, check=False
    )
    assert read.returncode == 0, (read.returncode, read.stderr)
    with memray.FileReader(file) as reader:
        assert int(read.stdout) >= reader.metadata.total_allocations > 10_000
