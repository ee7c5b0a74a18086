"""Lives inside a C extension (zlib), the lock let go; the results are checked."""

import os
import sys
import zlib

data = os.urandom(200000) + bytes(200000)
packed = zlib.compress(data, 6)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    assert zlib.compress(data, 6) == packed
print("fine")
