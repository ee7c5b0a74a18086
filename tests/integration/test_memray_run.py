"""Files of the installed memray, written by real runs: whole, in progress, of a killed process, attached to nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from forensics import formats
from forensics.errors import FormatError

PROGRAM = """
import sys, time
KEEP = []

def fetch_page(number):
    return [bytes(1000 + item) for item in range(100)]

def keep_pages(count):
    for number in range(count):
        KEEP.append(fetch_page(number))

keep_pages(50)
if len(sys.argv) > 1:
    # memray writes in blocks of 64 kB: more than one, so that the kept pages are in the file
    for number in range(3000):
        fetch_page(number)
    print("kept", flush=True)
    time.sleep(60)
"""
KEPT = 50 * sum(1000 + item + 33 for item in range(100))


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "pages.py"
    file.write_text(PROGRAM)
    return file


def run(program, file, *options):
    return [sys.executable, "-m", "memray", "run", "-q", *options, "-o", str(file), str(program)]


def test_whole_run(program, tmp_path):
    file = tmp_path / "whole.bin"
    subprocess.run(run(program, file, "--trace-python-allocators"), check=True, timeout=60)
    profile = formats.load(file)
    top = profile.top(1, measure="peak").iloc[0]
    assert top["place"].endswith("pages.py:6 <listcomp>") or top["place"].endswith("pages.py:6 fetch_page")
    assert KEPT <= top["bytes"] < 1.1 * KEPT
    assert profile.origin.complete and profile.origin.seconds > 0


def test_whole_and_not_compressed(program, tmp_path):
    file = tmp_path / "raw.bin"
    code = """
import memray, sys
with memray.Tracker(destination=memray.FileDestination(sys.argv[1], compress_on_exit=False)):
    kept = bytes(1000)
"""
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, timeout=60)
    assert file.read_bytes().startswith(b"memray")
    assert formats.load(file, over_time=False).origin.complete


def test_in_progress_and_then_killed(program, tmp_path):
    file = tmp_path / "killed.bin"
    command = [*run(program, file, "--trace-python-allocators"), "stay"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "kept\n"
        profile = formats.load(file)
        assert not profile.origin.complete and "still being written" in profile.origin.notes[0]
        assert 0.9 * KEPT < profile.top(1, measure="live")["bytes"][0] < 1.2 * KEPT
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        process.stdout.close()
    time.sleep(0.1)
    assert not formats.load(file, over_time=False).origin.complete


def test_aggregated_of_a_killed_process_is_empty_and_says_so(program, tmp_path):
    file = tmp_path / "aggregated.bin"
    process = subprocess.Popen(
        [*run(program, file, "--aggregate"), "stay"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "kept\n"
    finally:
        process.kill()
        process.wait(timeout=10)
        process.stdout.close()
    with pytest.raises(FormatError, match=r"empty|cannot be read"):
        formats.load(file)
