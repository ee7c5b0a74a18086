"""MALLOC_CONF=prof:true,lg_prof_sample:17,prof_prefix:jemalloc LD_PRELOAD=libjemalloc.so.2 python3 retain.py"""

import ctypes
import threading

keep = [bytearray(3000 + number % 100) for number in range(4000)]
thread = threading.Thread(target=lambda: keep.extend(bytearray(50000) for _ in range(100)))
thread.start()
thread.join()
ctypes.CDLL(None).mallctl(b"prof.dump", None, None, None, 0)
