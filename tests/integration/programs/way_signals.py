"""Takes down each signal at the moment it is delivered, in a file beside the flag; a timer sends SIGALRM all the time.

Not by Python's handlers, which fold what arrives between two of their turns: the file is the wakeup descriptor, to
which the interpreter's own C handler writes one byte, the signal's number, each time.
"""

import os
import signal
import sys
import time

path = os.path.join(os.path.dirname(sys.argv[1]), "arrived")
arrived = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
signal.set_wakeup_fd(arrived)
for number in (signal.SIGALRM, *range(signal.SIGRTMIN, signal.SIGRTMAX + 1)):
    signal.signal(number, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
signal.setitimer(signal.ITIMER_REAL, 0)
print("fine")
