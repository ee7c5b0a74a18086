"""What only the process itself can tell, or do to itself: collector and allocator counters, memray's tracker."""

import _thread
import contextlib
import gc
import os
import re
import sys

#: seconds that a finished recording waits to be fetched before it is removed
_FETCH_LIMIT = 120
#: a recording with addresses ends early at this size, and never takes more than half of what the disk has free
_MOST_BYTES = 256 << 20

_recording = {}
_ending = _thread.allocate_lock()


def counters(request):
    """Collector statistics for each generation; with ``malloc`` what glibc says of its heap (or None), and how many
    blocks the interpreter's own allocator has given out, whose memory does not come from malloc."""
    stats = gc.get_stats()
    return {
        "collections": [each["collections"] for each in stats],
        "uncollectable": sum(each["uncollectable"] for each in stats),
        "enabled": gc.isenabled(),
        "malloc": _malloc() if request.get("malloc") else None,
        "blocks": sys.getallocatedblocks() if request.get("malloc") else None,
    }


def _malloc():
    """Bytes that malloc has given out and bytes it holds free, over all arenas, by ``malloc_info(3)``."""
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        libc.open_memstream.restype = ctypes.c_void_p
        libc.malloc_info.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.fclose.argtypes = libc.free.argtypes = (ctypes.c_void_p,)
    except (ImportError, OSError, AttributeError):
        return None
    text, size = ctypes.c_void_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(size))
    if not stream:
        return None
    failed = libc.malloc_info(0, stream)
    libc.fclose(stream)
    xml = "" if failed else ctypes.string_at(text, size.value).decode("ascii", "replace")
    libc.free(text)
    # After the last arena come the totals of all of them.
    totals = xml.rpartition("</heap>")[2]
    found = dict(re.findall(r'type="(fast|rest|mmap|current)"[^>]*? size="(\d+)"', totals))
    if "current" not in found:
        return None
    free = int(found.get("fast", 0)) + int(found.get("rest", 0))
    return {"in_use": int(found["current"]) - free + int(found.get("mmap", 0)), "free": free}


def memray_start(request):
    """Begin to record allocations for ``seconds``; the recording ends by itself, whatever becomes of the asker.

    With ``addresses`` every allocation is written down with its address, objects of their own, and the recording
    also ends at ``_MOST_BYTES``. Otherwise it is kept by call stack in memory and written once at the end.
    """
    import tempfile
    import threading

    if _recording:
        return {"refused": "a recording is running already", "kind": "busy"}
    try:
        import memray
    except ImportError as error:
        return {"refused": str(error), "kind": "not importable", "executable": sys.executable}
    addresses = bool(request.get("addresses"))
    folder = tempfile.mkdtemp(prefix="forensics-memray-")
    path = os.path.join(folder, "allocations.bin")
    try:
        tracker = _tracker(memray, path, addresses, bool(request.get("native")))
        tracker.__enter__()
    except Exception as error:
        for remove, name in ((os.unlink, path), (os.rmdir, folder)):
            with contextlib.suppress(OSError):
                remove(name)
        return {"refused": str(error), "kind": "refused"}
    over = threading.Event()
    _recording.update(tracker=tracker, path=path, folder=folder, over=over, full=False)
    most = _room(folder) if addresses else None
    watch = threading.Thread(
        target=_watch_recording, args=(over, float(request["seconds"]), path, most), daemon=True
    )
    watch.start()
    return {"path": path, "version": memray.__version__}


def _tracker(memray, path, addresses, native):
    options = {"native_traces": native}
    if not addresses:
        if hasattr(memray, "FileFormat"):
            options["file_format"] = memray.FileFormat.AGGREGATED_ALLOCATIONS
        return memray.Tracker(path, **options)
    options["trace_python_allocators"] = True
    try:
        # Compressing at the end would stop the service for as long as it takes.
        plain = memray.FileDestination(path, compress_on_exit=False)
    except (AttributeError, TypeError):
        return memray.Tracker(path, **options)
    return memray.Tracker(destination=plain, **options)


def _room(folder):
    free = os.statvfs(folder)
    return min(_MOST_BYTES, free.f_bavail * free.f_frsize // 2)


def _watch_recording(over, seconds, path, most):
    """End the recording at its time, or when its file is as large as it may be."""
    import time

    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not over.wait(left if most is None else min(left, 0.2)):
        if most is not None and os.path.exists(path) and os.path.getsize(path) > most:
            _recording["full"] = True
            break
    if not over.is_set():
        _end_recording()


def memray_stop(request):
    """End the recording if it still runs; says where its file is. With ``remove`` the file goes."""
    if not _recording:
        return {"refused": "no recording is running", "kind": "none"}
    if request.get("remove"):
        _remove_recording()
        return {"removed": True}
    _end_recording()
    return {
        "path": _recording["path"],
        "bytes": os.path.getsize(_recording["path"]),
        "full": _recording["full"],
    }


def _end_recording():
    import threading

    with _ending:  # whoever comes second waits until the file is whole
        tracker = _recording.pop("tracker", None)
        if tracker is None:
            return
        tracker.__exit__(None, None, None)
        _recording["over"].set()
        fetched_by = threading.Timer(_FETCH_LIMIT, _remove_recording)
        fetched_by.daemon = True
        _recording["timer"] = fetched_by
        fetched_by.start()


def _remove_recording():
    _end_recording()
    for remove, name in ((os.unlink, "path"), (os.rmdir, "folder")):
        with contextlib.suppress(OSError, KeyError):
            remove(_recording[name])
    timer = _recording.pop("timer", None)
    if timer is not None:
        timer.cancel()
    _recording.clear()
