"""A busy loop in Python code, its arithmetic checked all the time."""

import os
import sys

print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    total, real = 0, 0.0
    for i in range(20000):
        total += i * i
        real += i * 0.5
    assert total == 2666466670000 and real == 99995000.0, (total, real)
print("fine")
