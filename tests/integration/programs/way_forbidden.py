"""A service without rights that forbids itself new threads and processes while it is asked to."""

import os
import resource
import sys
import time

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
folder = os.path.dirname(sys.argv[1])
before = resource.getrlimit(resource.RLIMIT_NPROC)
print("ready", flush=True)
done = set()
while not os.path.exists(sys.argv[1]):
    for name, limit in (("forbid", 0), ("allow", before[0])):
        if name not in done and os.path.exists(os.path.join(folder, name)):
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, before[1]))
            done.add(name)
            print(name, flush=True)
    time.sleep(0.01)
print("fine")
