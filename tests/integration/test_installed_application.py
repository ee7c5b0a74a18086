"""An application that is installed like a library (as container images do) still has its holders named."""

from __future__ import annotations

import os
import subprocess
import sys

from forensics.capture.take import Order, take
from forensics.investigation import open_capture

SHOP = """
import dataclasses

@dataclasses.dataclass
class Line:
    sku: str
    count: int

@dataclasses.dataclass
class Address:
    street: str

class Store:
    def __init__(self):
        self._pages = []

RESPONSES, STORE = {}, Store()

def answer(n):
    items = [{"order_id": {"S": f"o{n}-{k}"}, "note": {"S": "x" * 200 + str(k)}} for k in range(20)]
    metadata = {"RequestId": f"r{n}", "HTTPStatusCode": 200, "HTTPHeaders": {"x-amz-crc32": "1"}}
    return {"Items": items, "Count": 20, "ScannedCount": 20, "ResponseMetadata": metadata}

def handle(n):
    RESPONSES[n] = answer(n)
    STORE._pages.append(answer(-n)["Items"])
"""
PROGRAM = """
import sys
from shop.db import handle
for line in sys.stdin:
    for k in range(20):
        handle(int(line) * 20 + k)
    print("done", flush=True)
"""


class EachRound:
    """A trigger: a round of work, a snapshot, three times."""

    def __init__(self, process):
        self.process, self.taken = process, 0

    def feed(self, sample):
        self.process.stdin.write(f"{self.taken}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"
        self.taken += 1
        return type("Decision", (), {"take": True, "reason": "round", "finished": self.taken == 3})()

    def took(self, size):
        """Nothing depends on the size."""


def test_holders_in_site_packages(tmp_path):
    packages = tmp_path / "site-packages"
    (packages / "shop").mkdir(parents=True)
    (packages / "shop" / "__init__.py").touch()
    (packages / "shop" / "db.py").write_text(SHOP)
    (packages / "shop" / "__main__.py").write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, "-m", "shop"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(packages)},
    ) as process:
        try:
            order = Order(snapshots=0, trigger=EachRound(process), watch=120, sample_every=0.3)
            capture = open_capture(take(process.pid, tmp_path / "capture", order))
        finally:
            process.kill()
    loud = {each.retainer.path: each for each in capture.findings() if each.severity != "info"}
    assert set(loud) == {"shop.db.RESPONSES", "shop.db.STORE._pages"}
    assert {each.objects for each in loud.values()} == {60}
    # the command line starts this package: it is the application, and its lines are told
    lines = SHOP.splitlines()
    for name, text in (("RESPONSES", "RESPONSES, STORE = {}, Store()"), ("STORE._pages", "self._pages = []")):
        place = loud[f"shop.db.{name}"].retainer
        assert place.file.endswith("site-packages/shop/db.py") and text in lines[place.line - 1]
    filled = [line for line in loud["shop.db.RESPONSES"].evidence if line.startswith("filled at")]
    assert len(filled) == 1 and f":{lines.index('    RESPONSES[n] = answer(n)') + 1}" in filled[0]
