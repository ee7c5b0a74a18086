"""A busy loop in Python code, its arithmetic checked all the time.

It looks for the flag every few milliseconds, which lets go of the interpreter's lock for so short a time that another
thread hardly ever gets it.
"""

import os
import sys

interval = sys.getswitchinterval()
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    total, real = 0, 0.0
    for i in range(20000):
        total += i * i
        real += i * 0.5
    assert total == 2666466670000 and real == 99995000.0, (total, real)
assert sys.getswitchinterval() == interval, "a switch interval of somebody else's is left"
print("fine")
