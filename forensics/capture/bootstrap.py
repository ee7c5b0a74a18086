"""Starts the agent inside a service that does not have it: this file's text is what runs there (Python 3.9+).

It is never imported on the analyst's side: ``payload.py`` sends it as text, with the agent's source beside it,
because the service may run as another user, in another mount namespace, without this package. It imports nothing
that the service could have replaced by its own, leaves no name in ``__main__``, and never raises: whatever goes
wrong is written to the page the injector reads (``page``), or is not told at all (``page`` 0).
"""

import sys

_PRIVATE = "_forensics_agent"
#: what the agent keeps to as long as it is there, seconds
_INTERVAL = 0.0005
_ERROR_TEXT, _ERROR_LENGTH, _ERROR_LIMIT = 128, 32, 4000


def start(page, give_up_at, sources, version):
    """Load the agent under its private name and start it.

    ``sources`` maps module names to their text, or to their code as ``marshal`` writes it for this very version of
    Python; ``version`` names them: an agent of the same version that is there
    already is kept, because another capture may be talking to it.
    """
    import time

    if time.time() > give_up_at:  # nobody waits for us any more
        return
    try:
        # Two captures may come at once; a lock that a fork left held is not waited for.
        lock = sys.__dict__.setdefault("_forensics_starting", _new_lock())
        held = lock.acquire(timeout=5)
        try:
            agent = _hurried(sources, version)
            agent.start()
        finally:
            if held:
                lock.release()
    except BaseException as error:  # anything that left here would end or soil the service
        try:
            _tell(page, f"{type(error).__name__}: {error}")
        except BaseException:  # nor can it be told: the process may not even read its own library
            return


def _hurried(sources, version):
    """The agent, loaded while threads switch often.

    Each read of a file costs the wait for the interpreter's lock, a whole interval where the service computes.
    """
    interval = sys.getswitchinterval()
    # Where it is short already, an agent has made it so, and gives it back itself.
    if interval > _INTERVAL:
        sys.setswitchinterval(_INTERVAL)
    try:
        _import_threading()
        return _load(sources, version)
    finally:
        if interval > _INTERVAL:
            sys.setswitchinterval(interval)


def start_soon(page, give_up_at, sources, version):
    """The same in a thread of its own, for a caller that borrows the service's main thread."""
    import _thread

    _thread.start_new_thread(start, (page, give_up_at, sources, version))


def _new_lock():
    import _thread

    return _thread.allocate_lock()


class _Sources:
    """An importer of modules that came with the script."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        if name not in self.sources:
            return None
        import _frozen_importlib

        return _frozen_importlib.ModuleSpec(name, self, is_package=name == _PRIVATE)  # type: ignore[arg-type]

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        body = self.sources[name]
        if isinstance(body, bytes):
            from marshal import loads

            code = loads(body)
        else:
            code = compile(body, f"<{name}>", "exec", dont_inherit=True)
        exec(code, module.__dict__)


def _load(sources, version):
    import importlib

    earlier = sys.modules.get(_PRIVATE)
    if earlier is not None and getattr(earlier, "_version", None) == version:
        return earlier
    if earlier is not None:
        earlier.stop()
        for name in [name for name in sys.modules if name.split(".")[0] == _PRIVATE]:
            del sys.modules[name]
    sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != _Sources.__name__]
    sys.meta_path.append(_Sources(sources))
    agent = importlib.import_module(_PRIVATE)
    agent.__dict__["_version"] = version
    return agent


def _import_threading():
    """Import ``threading`` so that it does not keep this thread for the main one.

    Until 3.13 the module takes the thread that first imports it for the main thread, and looks at the end of the
    process for a lock that this thread's end would have released. Its record of the main thread is put right.
    """
    known = "threading" in sys.modules
    threading = __import__("threading")
    if known:
        return
    main, ours = threading._main_thread, threading.get_ident()
    main._native_id = _process_id()
    if sys.version_info >= (3, 13) or main._ident != ours:
        return
    lock = threading.Lock()
    lock.acquire()
    with threading._active_limbo_lock:
        # The oldest thread state comes last; it is the main thread's.
        main._ident = list(sys._current_frames())[-1]
        threading._active.pop(ours, None)
        threading._active[main._ident] = main
    threading._shutdown_locks.discard(main._tstate_lock)
    threading._shutdown_locks.add(lock)
    main._tstate_lock = lock


def _process_id():
    """The native id of the main thread is the process id."""
    import os

    return os.getpid()


def _tell(page, text):
    if not page:
        return
    raw = text.encode("utf-8", "replace")[:_ERROR_LIMIT]
    length = len(raw).to_bytes(4, "little")
    try:
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            for place, data in ((_ERROR_TEXT, raw), (_ERROR_LENGTH, length)):
                memory.seek(page + place)
                memory.write(data)
    except OSError:  # a process that changed its user may not open its own memory
        import ctypes

        ctypes.memmove(page + _ERROR_TEXT, raw, len(raw))
        ctypes.memmove(page + _ERROR_LENGTH, length, len(length))
