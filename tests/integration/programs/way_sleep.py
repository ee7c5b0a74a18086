"""Sleeps; never imports threading, like many a small worker."""

import os
import sys
import time

print("ready", flush=True)
before = sorted(globals())
while not os.path.exists(sys.argv[1]):
    time.sleep(0.005)
assert sorted(set(globals()) - {"before"}) == before, sorted(globals())
import threading  # noqa: E402

assert threading.current_thread() is threading.main_thread()
assert threading.main_thread().native_id == os.getpid()
print("fine")
