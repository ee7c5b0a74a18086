"""Counts SIGALRM from a timer; real-time signals that were queued must all arrive, in order."""

import os
import signal
import sys
import time

counted = []
queued = []
signal.signal(signal.SIGALRM, lambda *_: counted.append(1))
signal.signal(signal.SIGRTMIN, lambda *_: queued.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(counted), len(queued))
