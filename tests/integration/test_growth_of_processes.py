"""Verdicts on real processes: one whose allocator fragments, one that leaks, one that had a burst."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from forensics.growth import GrowthSeries, judge

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
