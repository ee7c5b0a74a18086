"""``forensics import``: files that other tools wrote become a capture that every verb can be asked about."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data" / "profiles"
#: file → (kind, runtime, what the heaviest place says)
FILES = {
    "memray-normal.bin": ("memray", "python", "fetch_page"),
    "memray-killed.bin": ("memray", "python", "fetch_page"),
    "go-after.pb.gz": ("pprof", "go", "main.fetchPage"),
    "jemalloc.heap": ("jemalloc", "native", ""),
    "dhat-heap.json": ("dhat", "rust", "orders::fetch_page"),
    "jemalloc-c.heap": ("jemalloc", "native", "retain-jemalloc"),
    "dhat-valgrind.json": ("dhat", "native", "fetch_page"),
    "node.heapprofile": ("heapprofile", "node", "keepPages"),
}


def forensics(*arguments, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "forensics.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def refused(*arguments) -> str:
    """What is said on standard error, in one line."""
    done = subprocess.run(
        [sys.executable, "-m", "forensics.cli", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 3 and "Traceback" not in done.stderr
    return " ".join(done.stderr.split())


@pytest.mark.parametrize(("name", "expected"), FILES.items(), ids=list(FILES))
def test_every_kind_of_file(tmp_path, name, expected):
    kind, runtime, place = expected
    folder = tmp_path / "capture"
    manifest = json.loads(forensics("import", DATA / name, "--to", folder, "--json"))
    assert (manifest["runtime"], manifest["allocations"][0]["kind"]) == (runtime, kind)
    assert place in forensics("show", folder)
    found = json.loads(forensics("findings", folder, "--json"))
    assert found["schema"] == "forensics.findings/1"
    report = tmp_path / "report.html"
    forensics("report", folder, "-o", report)
    assert "<html" in report.read_text()


def test_files_of_two_languages_are_no_capture(tmp_path):
    said = refused("import", DATA / "memray-normal.bin", DATA / "go-after.pb.gz", "--to", tmp_path / "both")
    assert "memray-normal.bin (python), go-after.pb.gz (go)" in said
    assert not (tmp_path / "both").exists()
    # what jemalloc saw of a Python process belongs to it
    forensics("import", DATA / "memray-normal.bin", DATA / "jemalloc.heap", "--to", tmp_path / "one")


PROGRAM = """
import gc, sys, memray

class Page:
    def __init__(self):
        self.itself = self
        self.items = bytes(20_000)

def fetch_pages():
    for _ in range(300):
        Page()

gc.disable()
for number, collects in enumerate((False, True)):
    with memray.Tracker(f"{sys.argv[1]}/{number}.bin", trace_python_allocators=True):
        fetch_pages()
        if collects:
            gc.collect()
"""


def test_cycles_that_a_forced_collection_takes_are_collector_lag(tmp_path):
    """FP3 by profiles of the real writer: once as it is, once after ``gc.collect()``."""
    subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], check=True, timeout=120)
    folder = tmp_path / "capture"
    forensics("import", tmp_path / "0.bin", tmp_path / "1.bin", "--to", folder)
    found = json.loads(forensics("findings", folder, "--json", "--fail-on", "low"))["findings"]
    assert [(each["rule"], each["severity"]) for each in found] == [("FP3", "info")]
    assert any(
        ("gone again" in line and "Page" in line) or "__init__" in line for line in found[0]["evidence"]
    )
    assert "gc.collect()" in found[0]["remediation"]["code"]
