"""What only the process itself can tell, or do to itself: collector and allocator counters, memray's tracker."""

import _thread
import contextlib
import gc
import os
import re
import sys

#: seconds that a finished recording waits to be fetched before it is removed
_FETCH_LIMIT = 120

_recording = {}
_ending = _thread.allocate_lock()


def counters(request):
    """Collector statistics for each generation, and with ``malloc`` what glibc says of its heap (or None)."""
    stats = gc.get_stats()
    return {
        "collections": [each["collections"] for each in stats],
        "uncollectable": sum(each["uncollectable"] for each in stats),
        "enabled": gc.isenabled(),
        "malloc": _malloc() if request.get("malloc") else None,
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
    """Begin to record allocations for ``seconds``; the recording ends by itself, whatever becomes of the asker."""
    import tempfile
    import threading

    if _recording:
        return {"refused": "a recording is running already", "kind": "busy"}
    try:
        import memray
    except ImportError as error:
        return {"refused": str(error), "kind": "not importable", "executable": sys.executable}
    seconds = float(request["seconds"])
    folder = tempfile.mkdtemp(prefix="forensics-memray-")
    path = os.path.join(folder, "allocations.bin")
    options = {"native_traces": bool(request.get("native"))}
    if hasattr(memray, "FileFormat"):
        # Kept by call stack in memory and written once at the end: no disk filled by a busy service.
        options["file_format"] = memray.FileFormat.AGGREGATED_ALLOCATIONS
    tracker = memray.Tracker(path, **options)
    try:
        tracker.__enter__()
    except Exception as error:
        os.rmdir(folder)
        return {"refused": str(error), "kind": "refused"}
    end = threading.Timer(seconds, _end_recording)
    end.daemon = True
    _recording.update(tracker=tracker, path=path, folder=folder, timer=end)
    end.start()
    return {"path": path, "version": memray.__version__}


def memray_stop(request):
    """End the recording if it still runs; says where its file is. With ``remove`` the file goes."""
    if not _recording:
        return {"refused": "no recording is running", "kind": "none"}
    if request.get("remove"):
        _remove_recording()
        return {"removed": True}
    _end_recording()
    return {"path": _recording["path"], "bytes": os.path.getsize(_recording["path"])}


def _end_recording():
    import threading

    with _ending:  # whoever comes second waits until the file is whole
        tracker = _recording.pop("tracker", None)
        if tracker is None:
            return
        tracker.__exit__(None, None, None)
        _recording["timer"].cancel()
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
