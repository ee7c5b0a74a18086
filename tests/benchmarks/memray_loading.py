"""How long it takes to load a memray file, against memray's own reading of the same, in one run.

    python tests/benchmarks/memray_loading.py [millions of allocations, 4 by default]

Each measurement is a process of its own; both sides ask the same questions and resolve every stack. The seconds are
processor time of the call, imports done before; the loader's second process is in them. The peak is that of all
processes together.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import memray
import psutil

ROUNDS = 2

PROGRAM = """
import sys
KEPT = []
def fetch_page(number):
    return [bytes(600 + item % 64) for item in range(1000)]
def keep(number):
    page = fetch_page(number)
    if number % 20 == 0:
        KEPT.append(page)
for number in range(int(sys.argv[1])):
    keep(number)
"""

CLOCK = """
import resource
def cpu():
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in both)
"""

MEMRAY = """
import sys, memray
begin = cpu()
with memray.FileReader(sys.argv[1]) as reader:
    for query in sys.argv[2].split(","):
        for record in getattr(reader, f"get_{query}_allocation_records")(merge_threads=False):
            try:
                record.stack_trace()
            except NotImplementedError:
                pass
            record.size if query != "temporal" else record.intervals
"""

OURS = """
import sys
from forensics import formats
formats.loaders()
begin = cpu()
names = {"leaked": "live", "high_watermark": "peak", "temporary": "temporary"}
queries = sys.argv[2].split(",")
formats.load(sys.argv[1], measures=[names[each] for each in queries if each in names],
             over_time="temporal" in queries)
"""

MEMRAY_BLOCKS = """
import sys, memray
begin = cpu()
live = {}
with memray.FileReader(sys.argv[1]) as reader:
    for record in reader.get_allocation_records():
        address, size, stack, allocator = record.address, record.size, record.stack_id, record.allocator
        if allocator in (1, 5, 15):
            live.pop(address, None)
        else:
            live[address] = size, stack
"""

OUR_BLOCKS = """
import sys
from forensics import formats
formats.loaders()
begin = cpu()
formats.load(sys.argv[1], measures=[], over_time=False, addresses=True)
"""


def measured(code: str, *arguments: str) -> tuple[float, int]:
    """Seconds, and the peak of the resident sets of the process and its children, bytes."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLOCK + code + "\nprint(cpu() - begin)", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        root = psutil.Process(process.pid)
        while not done.is_set():
            try:
                family = [root, *root.children(recursive=True)]
                peak = max(peak, sum(each.memory_info().rss for each in family))
            except psutil.NoSuchProcess:
                pass
            done.wait(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said, _ = process.communicate()
    done.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"a measured process failed with status {process.returncode}")
    return float(said), peak


def main(millions: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, program = Path(folder) / "run.bin", Path(folder) / "program.py"
        program.write_text(PROGRAM)
        pages = int(millions * 1e6 / 5516)  # a page makes and frees its items and the numbers that count them
        subprocess.run(
            [
                sys.executable,
                "-m",
                "memray",
                "run",
                "-q",
                "--trace-python-allocators",
                "-o",
                file,
                program,
                str(pages),
            ],
            check=True,
        )
        with memray.FileReader(file) as reader:
            records = reader.metadata.total_allocations
        print(f"{records:,} allocations and frees recorded, {file.stat().st_size / 1e6:.1f} MB")
        print(
            f"{'questions':44s} {'memray':>8s} {'ours':>8s} {'ratio':>6s} {'memray MB':>10s} {'ours MB':>8s}"
        )
        everything = "leaked,high_watermark,temporary,temporal"
        rows = [(each, MEMRAY, OURS, each) for each in ("leaked", "temporary", everything)]
        rows.append(("live blocks with addresses", MEMRAY_BLOCKS, OUR_BLOCKS, ""))
        for name, theirs, ours, question in rows:
            runs = [
                (measured(theirs, str(file), question), measured(ours, str(file), question))
                for _ in range(ROUNDS)
            ]
            their_time, our_time = (min(run[side][0] for run in runs) for side in (0, 1))
            their_peak, our_peak = (max(run[side][1] for run in runs) / 1e6 for side in (0, 1))
            print(
                f"{name:44s} {their_time:7.2f}s {our_time:7.2f}s {our_time / their_time:6.2f} "
                f"{their_peak:10.0f} {our_peak:8.0f}"
            )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
