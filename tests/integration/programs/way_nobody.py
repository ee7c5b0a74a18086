"""A service that gave its rights away: user nobody, a heap of its own."""

import gc
import os
import sys
import time

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
HELD = {f"order-{i}": [str(i)] for i in range(2000)}
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
assert gc.isenabled() and len(HELD) == 2000
print("fine")
