"""Dominators and retained sizes against igraph: `python tests/benchmarks/heap_dominators.py [objects]`.

The graph is like a service's heap: a tree of containers with shared leaves and references back up, three
references for each object. Each side runs in a process of its own, so that peak memory is its own; both read the
same arrays. Prints processor seconds (both use one thread, and
the machine may be busy), their ratio, and peak resident memory; the graph's own arrays are part of it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

TARGET_RATIO = 0.25
TARGET_PEAK = 1.2 * 2**30


def heap_like(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """int64[n + 1], int32[3 n]: object i is referred to by one before it; the rest goes anywhere, mostly near."""
    chance = np.random.default_rng(seed)
    child = np.arange(1, n, dtype=np.int32)
    parent = (child - 1 - (chance.random(n - 1) ** 3 * np.minimum(child, 5000)).astype(np.int32)).clip(0)
    extra = 3 * n - (n - 1)
    source = chance.integers(0, n, extra, dtype=np.int32)
    near = (source + chance.integers(1, 2000, extra, dtype=np.int32)) % n
    target = np.where(chance.random(extra) < 0.8, near, chance.integers(0, n, extra, dtype=np.int32))
    sources = np.concatenate([parent, source])
    targets = np.concatenate([child, target.astype(np.int32)])
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(sources, minlength=n), out=offsets[1:])
    return offsets, targets[np.argsort(sources, kind="stable")]


def ours(n: int) -> dict[str, float]:
    from forensics.heap import HeapGraph

    HeapGraph.from_arrays(
        [0, 1, 1], [1], [1, 1], [0]
    ).retained_sizes()  # compiled, or read from numba's cache
    offsets, targets, sizes = _arrays(n)
    begin = time.process_time()
    graph = HeapGraph.from_arrays(offsets, targets, sizes, np.zeros(1, np.int32))
    graph.immediate_dominators()
    total = int(graph.retained_sizes()[0])
    return {"seconds": time.process_time() - begin, "check": total, "peak": _peak()}


def theirs(n: int) -> dict[str, float]:
    import igraph

    offsets, targets, _ = _arrays(n)
    sources = np.repeat(np.arange(n, dtype=np.int32), np.diff(offsets))
    graph = igraph.Graph(n, np.stack([sources, targets], axis=1), directed=True)
    begin = time.process_time()
    graph.dominator(0)
    return {"seconds": time.process_time() - begin, "peak": _peak()}


def _arrays(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Written by the parent: making the graph must not count for anybody's peak.
    folder = sys.argv[3]
    return tuple(np.load(f"{folder}/{name}.npy", mmap_mode=None) for name in ("offsets", "targets", "sizes"))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compare(n: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        offsets, targets = heap_like(n)
        np.save(f"{folder}/offsets.npy", offsets)
        np.save(f"{folder}/targets.npy", targets)
        np.save(f"{folder}/sizes.npy", np.full(n, 64, np.int64))
        del offsets, targets
        results = {}
        for side in ("ours", "theirs"):
            done = subprocess.run(
                [sys.executable, __file__, side, str(n), folder], capture_output=True, text=True, check=True
            )
            results[side] = json.loads(done.stdout)
    mine, other = results["ours"], results["theirs"]
    ratio = mine["seconds"] / other["seconds"]
    print(
        f"{n:>11,} objects {3 * n:>11,} references   ours {mine['seconds']:6.2f} s {mine['peak'] / 2**20:6.0f} MiB"
        f"   igraph {other['seconds']:6.2f} s {other['peak'] / 2**20:6.0f} MiB"
        f"   ratio {ratio:.3f} ({'ok' if ratio <= TARGET_RATIO else 'over'} at most {TARGET_RATIO})"
        f"   peak {'ok' if mine['peak'] <= TARGET_PEAK else 'over'}"
    )


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["theirs"]):
        print(json.dumps({"ours": ours, "theirs": theirs}[sys.argv[1]](int(sys.argv[2]))))
    else:
        for count in [int(each.replace("_", "")) for each in sys.argv[1:]] or [100_000, 1_000_000]:
            compare(count)
