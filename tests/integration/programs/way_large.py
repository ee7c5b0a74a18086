"""Holds some hundred thousand objects, so that a walk takes its time; makes garbage for the collector meanwhile."""

import gc
import os
import sys
import time

HELD = {f"order-{i}": {"pk": {"S": str(i)}, "n": [i, float(i)]} for i in range(60000)}
gc.collect()
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    cycle = []
    cycle.append(cycle)
    time.sleep(0.002)
assert gc.isenabled()
assert len(HELD) == 60000
print("fine")
