"""The magics in a real IPython shell, on the test process' own heap."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
shell.run_line_magic("load_ext", "forensics")
class Order:
    def __init__(self, number): self.payload = "x" * 500 + str(number)
shell.run_line_magic("heap_growth", "5")
shell.user_ns["KEPT"] = KEPT = [Order(number) for number in range(4000)]
grown = shell.run_line_magic("heap_growth", "8")
row = grown[grown["type"] == "Order"].iloc[0]
assert row["new objects"] == 4000, grown
one = shell.run_line_magic("heap_holders", "KEPT").iloc[0]
assert one["MiB with all below"] > 2, one
holders = shell.run_line_magic("heap_holders", "30")
largest = [holder for holder in holders if holder.element_count == 4000]
assert largest and largest[0].retained_bytes > 2_000_000, holders
print("seen", largest[0].path)
"""


def test_a_list_that_grew_is_counted_and_named() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "KEPT" in run.stdout
