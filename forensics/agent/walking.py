"""One snapshot: choose a walker, fork, let the child walk and stream, keep the collector off until it is gone."""

import contextlib
import gc
import json
import os
import platform
import select
import signal
import threading
import time
import warnings

from . import stream

#: The thread that is forking a child to walk in; this package's fork hooks stand aside in that child.
_forking_thread = None

#: What the last snapshot cost the service: walker, pause_seconds, child_pid, error.
last_result = {}

#: A child that has not finished by then is ended by its own alarm, seconds.
CHILD_LIMIT = 900

_one_at_a_time = threading.Lock()

#: Native walkers by their file's name, which says their contents: a library that is loaded never goes again.
_loaded = {}


def snapshot(request, connection):
    """Stream a snapshot to ``connection``; returns when the child is gone.

    ``request`` may name ``walker`` ("auto", "native", "python"), ``walker_path`` (a native walker built for this
    interpreter), ``in_place`` (walk in this process, native only) and ``values`` (false: no values leave).
    """
    with _one_at_a_time:
        native = None if request.get("walker") == "python" else native_walker(request.get("walker_path"))
        if native is None and request.get("walker") == "native":
            raise RuntimeError("there is no native walker for Python {}".format(platform.python_version()))
        last_result.clear()
        if native is not None:
            # It holds the collector itself, with a watcher of its own that lets go of it whatever happens.
            last_result.update(_native_walk(native, request, connection))
        else:
            with _collector_off():
                last_result.update(_python_walk(request, connection))


def result_of_last():
    """What the last snapshot cost; waits for one that is under way."""
    with _one_at_a_time:
        return dict(last_result)


def native_walker(path=None):
    """The native walker's module, or None: the one at ``path``, or the one built with this package."""
    try:
        if path:
            name = os.path.basename(path)
            if name in _loaded:
                return _loaded[name]
            from importlib import machinery, util

            loader = machinery.ExtensionFileLoader("_walker", path)
            module = util.module_from_spec(util.spec_from_loader("_walker", loader))
            loader.exec_module(module)
            _loaded[name] = module
            return module
        from .native import _walker

        return _walker
    except (ImportError, OSError):
        return None


def header(walker):
    """What the stream's first block says."""
    names = {}
    for ident, thread in list(getattr(threading, "_active", {}).items()):
        names[str(ident)] = str(getattr(thread, "_name", ""))
    return {
        "runtime": "python",
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "pid": os.getpid(),
        "walker": walker,
        "time": time.time(),
        "threads": names,
        "agent_thread": threading.get_ident(),
        "gc_was_enabled": _holding_collector or gc.isenabled(),
    }


#: Whether the Python walk holds off a collector that was on.
_holding_collector = False


@contextlib.contextmanager
def _collector_off():
    """A collection in the service while the child lives would copy most of the shared pages."""
    global _holding_collector
    _holding_collector = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        release_collector()


def start_afresh():
    """In a worker that the service forked while a walk was under way: that walk is not this process's."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    release_collector()


def release_collector():
    """Switch the collector on again if a walk holds it off."""
    global _holding_collector
    if _holding_collector:
        _holding_collector = False
        gc.enable()


def _native_walk(native, request, connection):
    options = {
        "values": request.get("values", True),
        "limit_seconds": CHILD_LIMIT,
        "agent_threads": tuple(agent_threads()),
    }
    described = json.dumps(header("native")).encode()
    if request.get("in_place"):
        options["in_place"] = True
        result = native.snapshot(connection.fileno(), described, options)
        return dict(result, walker="native", in_place=True)
    alive_read, alive_write = os.pipe()
    try:
        result = native.snapshot(connection.fileno(), described, dict(options, alive_fd=alive_write))
    finally:
        os.close(alive_write)
    _wait_until_gone(alive_read)
    return dict(result, walker="native")


def _python_walk(request, connection):
    from . import walker

    if request.get("in_place"):
        raise RuntimeError("the Python walker only walks in a forked child: in place it would not be atomic")
    begin = time.perf_counter()
    described = header("python")
    frames = walker.running_frames(skip=agent_threads())
    alive_read, alive_write = os.pipe()
    pid = _fork()
    if pid == 0:
        _be_the_child(lambda: _walk_in_child(walker, described, frames, request, connection, alive_write))
    os.close(alive_write)
    frames.clear()  # they held the service's locals until the fork
    pause = time.perf_counter() - begin
    os.waitpid(pid, 0)
    _wait_until_gone(alive_read)
    return {"walker": "python", "pause_seconds": pause, "child_pid": pid}


def agent_threads():
    """The identifiers of this agent's own threads, which are no part of the service."""
    threads = list(getattr(threading, "_active", {}).items())
    return {ident for ident, thread in threads if getattr(thread, "_name", "").startswith("forensics-agent")}


def in_walker_child():
    """Whether this process is the child that walks; true before ``os.fork`` returns there, for its hooks."""
    return _forking_thread == threading.get_ident()


def _fork():
    global _forking_thread
    _forking_thread = threading.get_ident()
    pid = -1
    try:
        with warnings.catch_warnings():
            # 3.12 warns about fork in a process with threads; the child only walks and leaves by _exit.
            warnings.simplefilter("ignore")
            pid = os.fork()
    finally:
        if pid != 0:
            _forking_thread = None
    return pid


def _be_the_child(work):
    """Run ``work`` in a grandchild, which the service never has to wait for, and leave without clean-up."""
    status = 1
    try:
        if os.fork() == 0:
            work()
        status = 0
    finally:
        os._exit(status)


def _walk_in_child(walker, described, frames, request, connection, alive_write):
    signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.valid_signals()) - {signal.SIGALRM})
    with contextlib.suppress(OSError, ValueError):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(CHILD_LIMIT)
    keep = sorted((connection.fileno(), alive_write))
    # Listening sockets above all: a child that kept them would take the service's connections.
    os.closerange(0, keep[0])
    os.closerange(keep[0] + 1, keep[1])
    os.closerange(keep[1] + 1, os.sysconf("SC_OPEN_MAX"))
    with contextlib.suppress(OSError):
        os.nice(10)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as adjust:
        adjust.write("1000")
    try:
        walker.walk(described, frames, connection.sendall, values=request.get("values", True))
    except Exception as error:
        reason = json.dumps({"error": "{}: {}".format(type(error).__name__, error)}).encode()
        connection.sendall(stream.BLOCK.pack(ord("X"), 1, len(reason)) + reason)


def _wait_until_gone(alive_read):
    """Block this thread (not the interpreter) until no child holds the other end of the pipe."""
    try:
        poll = select.poll()
        poll.register(alive_read, select.POLLIN)
        poll.poll((CHILD_LIMIT + 5) * 1000)
    finally:
        os.close(alive_read)
