"""Makes cycles; says at the end whether its collector is on and ran."""

import gc
import os
import sys
import time

print("ready", flush=True)
kept = {i: [str(i)] for i in range(30000)}
while not os.path.exists(sys.argv[1]):
    for _ in range(200):
        cycle = []
        cycle.append(cycle)
    time.sleep(0.001)
assert gc.isenabled()
assert len(kept) == 30000
print("fine")
