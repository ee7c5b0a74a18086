"""python -m orders FILE [normal|native|aggregated|killed]: retain Query responses of moto under memray."""

import os
import signal
import sys
import threading

import memray
from moto import mock_aws

from orders import db

kind = sys.argv[2] if len(sys.argv) > 2 else "normal"
with mock_aws():
    client = db.connect()
    db.fill(client, 60)
    db.keep_pages(client, 2)  # imports and caches come before the tracker
    options = {
        "native_traces": kind == "native",
        "trace_python_allocators": kind != "native",
        "memory_interval_ms": 5,
    }
    if kind == "aggregated":
        options["file_format"] = memray.FileFormat.AGGREGATED_ALLOCATIONS
    with memray.Tracker(sys.argv[1], **options):
        db.keep_pages(client, 1 if kind == "killed" else 3)
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        thread = threading.Thread(target=db.keep_pages, args=(client, 1), name="refill")
        thread.start()
        thread.join()
