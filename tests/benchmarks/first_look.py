"""Time to a first look: from `forensics lab` to a usable page, and from opening a capture to its first picture.

    python tests/benchmarks/first_look.py [--objects 1000000]

The page is usable once the first notebook is shown in Chromium and its kernel is idle. The capture is of a real
process that holds that many objects; the picture is the reference graph, opened in a fresh interpreter, once with
nothing kept from before and once more as a reader's second look finds it. The aim is 3 s for the picture.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

import forensics as fx
from forensics.lab import FOLDER, bundled_capture
from forensics.specimens.program import free_port

HOLDER = """
import sys, time
KEPT = {}
def response(number):
    return {"Items": [{"pk": {"S": f"c{number}"}, "sk": {"S": f"o{k}"}, "total": {"N": str(number * k)}}
                      for k in range(10)],
            "Count": 10, "ScannedCount": 10,
            "ResponseMetadata": {"RequestId": f"{number:032}", "HTTPStatusCode": 200, "RetryAttempts": 0}}
for number in range(int(sys.argv[1]) // 88):
    KEPT[f"q{number}"] = response(number)
print("ready", flush=True)
sys.stdin.read()
"""

PICTURE = """
import sys, time
import forensics as fx
from forensics import plots
began, used = time.perf_counter(), time.process_time()
capture = fx.open(sys.argv[1])
{picture}
print(f"{time.perf_counter() - began:.2f} {time.process_time() - used:.2f}")
"""
PICTURES = {
    "summary card": "capture._repr_html_()",
    "reference graph": "plots.ReferenceGraph(capture.chains())._repr_mimebundle_()",
    "icicle": "plots.icicle(capture.snapshots[-1])",
}


def lab_to_usable_page() -> tuple[float, float]:
    """Seconds until the server answers with the page, and until the first notebook's kernel is idle."""
    with tempfile.TemporaryDirectory() as folder:
        port, capture = free_port(), shutil.copytree(bundled_capture("leaking"), Path(folder) / "capture")
        program = (
            "import sys; from forensics.lab import command, environment, prepare; import os; from pathlib import Path;"
            "b = prepare(sys.argv[1]).folder; os.environ.update(environment(b, Path(sys.argv[2])));"
            "c = [*command(b, int(sys.argv[3]), False), '--IdentityProvider.token=t', '--allow-root'];"
            "os.execv(c[0], c)"
        )
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--headless"]
            )
            page = chromium.new_page()
            begin = time.perf_counter()
            server = subprocess.Popen(
                [sys.executable, "-c", program, str(Path(folder) / FOLDER), str(capture), str(port)],
                stderr=subprocess.DEVNULL,
                env={**os.environ, "JUPYTER_RUNTIME_DIR": f"{folder}/runtime"},
            )
            try:
                while True:
                    try:
                        page.goto(
                            f"http://127.0.0.1:{port}/lab/tree/00_start_here.ipynb?token=t&reset",
                            timeout=60_000,
                        )
                        break
                    except Exception:
                        if server.poll() is not None or time.perf_counter() - begin > 120:
                            raise
                        time.sleep(0.1)
                answered = time.perf_counter() - begin
                page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
                usable = time.perf_counter() - begin
            finally:
                chromium.close()
                server.terminate()
                server.wait(30)
    return answered, usable


def first_pictures(objects: int) -> None:
    """Print the seconds from opening a capture of so many objects to each picture, first and second time."""
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(objects)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            capture = fx.capture(process.pid, to=Path(folder) / "capture", snapshots=1)
            process.kill()
        graph = fx.open(capture).snapshots[0]
        print(f"capture of {len(graph):,} objects and {graph.n_references:,} references")
        for number, (name, picture) in enumerate(PICTURES.items()):
            # A copy, for what one picture computes is kept beside the capture and would serve the next.
            own = shutil.copytree(capture, Path(folder) / str(number))
            for turn in ("first time", "again"):
                run = subprocess.run(
                    [sys.executable, "-c", PICTURE.replace("{picture}", picture), str(own)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                seconds, busy = run.stdout.split()
                print(f"  {name:<16} {turn:<10} {seconds:>6} s ({busy} s of a processor)")


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=1_000_000)
    chosen = parser.parse_args()
    answered, usable = lab_to_usable_page()
    print(f"forensics lab: page after {answered:.1f} s, first notebook usable after {usable:.1f} s")
    first_pictures(chosen.objects)


if __name__ == "__main__":
    main()
