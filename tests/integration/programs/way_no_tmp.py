"""A service that gave its rights away where it may not write to /tmp, as in a container with a read-only root."""

import os
import sys
import time

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
HELD = {f"order-{i}": [str(i)] for i in range(2000)}
assert not os.access("/tmp", os.W_OK)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
print("fine")
