"""May start no thread: another user, and a limit of one process."""

import os
import resource
import sys
import time

resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
os.setgid(65534)
os.setuid(65534)
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
print("fine")
