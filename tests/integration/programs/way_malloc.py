"""Allocates and frees all the time, in several threads; every block is checked."""

import os
import sys
import threading


def churn(seed):
    while not os.path.exists(sys.argv[1]):
        blocks = [bytearray([seed]) * (600 + i * 997 % 90000) for i in range(200)]
        if not all(block[0] == seed and block[-1] == seed for block in blocks):
            os._exit(9)


threads = [
    threading.Thread(target=churn, args=(seed,)) for seed in range(1, 1 + int((sys.argv[2:] or ["1"])[0]))
]
for thread in threads:
    thread.start()
print("ready", flush=True)
churn(77)
for thread in threads:
    thread.join()
print("fine")
