"""How long a V8 snapshot takes until its retained sizes are known, beside memlab on the same file in one run.

    python tests/benchmarks/v8_loading.py [responses kept by the workload, 337,000 by default: 480 MB of Node 20]
    python tests/benchmarks/v8_loading.py --beyond-2-gb    reads a generated file whose edges begin beyond 2 GB

Each measurement is a process of its own, and each is made three times in turn; the middle one counts. Seconds are
processor time from the start of the process, imports among them; the peak is that of the resident set, in which the
system counts mapped files too. Ours runs as the command line does: without threads of OpenBLAS, which spin for a while.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from forensics.specimens import packages

HERE = Path(__file__).parent / "workloads"
ROUNDS = 3

IMPORT = """
import sys, forensics as fx
graph = fx.open(fx.import_files([sys.argv[1]], sys.argv[2])).snapshots[0]
sizes = graph.retained_sizes()
arrays = graph.objects_of_type("Array")
largest = arrays[sizes[arrays].argmax()]
print(graph.addresses[largest], sizes[largest])
"""

REOPEN = """
import sys, time, forensics as fx, forensics.heap, forensics.formats.snapshot
begin, cpu = time.perf_counter(), time.process_time()
graph = fx.open(sys.argv[1]).snapshots[0]
opened = time.perf_counter()
graph.retained_sizes()
print(f"opened again in {opened - begin:.2f} s, with retained sizes in {time.perf_counter() - begin:.2f} s (wall), "
      f"{time.process_time() - cpu:.2f} s of processor; imports apart")
"""


def measured(*command: str | Path) -> tuple[float, float, str]:
    """Processor seconds, peak of the resident set in MB, and what it printed."""
    told = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=told)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, said.strip()


def beside_memlab(count: int, folder: Path) -> None:
    """Both read the same snapshot; what they say of the largest array is printed."""
    file = folder / "responses.heapsnapshot"
    options = ("--expose-gc", "--no-warnings", "--max-old-space-size=8000")
    subprocess.run([packages.node(), *options, HERE / "responses.js", str(count), file], check=True)
    print(f"{count:,} responses, {file.stat().st_size / 1e6:.0f} MB")
    measured(sys.executable, "-c", IMPORT, file, folder / "warm")  # compiles, and keeps that
    modules = packages.installed(HERE / "memlab" / "package.json")
    commands = {
        "ours": (sys.executable, "-c", IMPORT, file),
        "memlab": (packages.node(), *options[2:], HERE / "memlab" / "retained_sizes.js", file, modules),
    }
    rounds: dict[str, list[tuple[float, float, str]]] = {name: [] for name in commands}
    for number in range(ROUNDS):
        target = folder / f"capture-{number}"
        rounds["ours"].append(measured(*commands["ours"], target))
        rounds["memlab"].append(measured(*commands["memlab"]))
        if number < ROUNDS - 1:
            shutil.rmtree(target)
    middle = {}
    for name, measurements in rounds.items():
        seconds, peaks, said = zip(*measurements, strict=True)
        middle[name] = statistics.median(seconds), statistics.median(peaks)
        each = ", ".join(f"{value:.1f}" for value in seconds)
        print(
            f"{name:8s}{middle[name][0]:7.1f} s ({each}) {middle[name][1]:7.0f} MB   largest array: {said[-1]}"
        )
        assert len(set(said)) == 1, said
    (seconds, peak), (their_seconds, their_peak) = middle["ours"], middle["memlab"]
    print(f"memlab / ours: {their_seconds / seconds:.1f} × the time, {their_peak / peak:.1f} × the memory")
    print(measured(sys.executable, "-c", REOPEN, target)[2])


def beyond_two_gigabytes(folder: Path) -> None:
    """A file as V8 writes it, with so much white space after its nodes that offsets need more than 32 bits."""
    small, large = folder / "small.heapsnapshot", folder / "large.heapsnapshot"
    subprocess.run([packages.node(), "--expose-gc", HERE / "responses.js", "100", small], check=True)
    blank = b"\n" * (1 << 24)
    nodes, edges = small.read_bytes().split(b'"edges":[')
    end = nodes.rindex(b"]")
    with large.open("wb") as out:
        out.write(nodes[:end])
        for _ in range(130):
            out.write(blank)
        out.write(nodes[end:] + b'"edges":[' + edges)
    print(f"{large.stat().st_size / 1e9:.2f} GB")
    expected = measured(sys.executable, "-c", IMPORT, small, folder / "of-small")
    found = measured(sys.executable, "-c", IMPORT, large, folder / "of-large")
    assert found[2] == expected[2], (found, expected)
    print(f"the same as of the small file: {found[2]}; {found[0]:.1f} s, {found[1]:.0f} MB")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        if sys.argv[1:] == ["--beyond-2-gb"]:
            beyond_two_gigabytes(Path(made))
        else:
            beside_memlab(int(sys.argv[1]) if len(sys.argv) > 1 else 337_000, Path(made))
