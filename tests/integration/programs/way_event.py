"""The main thread waits in Event.wait() for a thread that polls."""

import os
import sys
import threading
import time

done = threading.Event()


def poll():
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.02)
    done.set()


threading.Thread(target=poll).start()
print("ready", flush=True)
done.wait()
assert threading.current_thread() is threading.main_thread()
print("fine")
