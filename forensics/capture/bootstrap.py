"""Starts the agent inside a service that does not have it: this file's text is what runs there (Python 3.9+).

It is never imported on the analyst's side: ``payload.py`` sends it as text, with the agent's source beside it,
because the service may run as another user, in another mount namespace, without this package. It imports nothing
that the service could have replaced by its own, leaves no name in ``__main__``, and never raises: whatever goes
wrong is written to the page the injector reads (``page``), or is not told at all (``page`` 0).
"""

import sys

_PRIVATE = "_forensics_agent"
_ERROR_TEXT, _ERROR_LENGTH, _ERROR_LIMIT = 128, 32, 4000


def start(page, give_up_at, sources):
    """Load the agent under its private name and start it; ``sources`` maps module names to their text."""
    import time

    if time.time() > give_up_at:  # nobody waits for us any more
        return
    try:
        _import_threading()
        _load(sources)
    except BaseException as error:  # anything that left here would end or soil the service
        try:
            _tell(page, f"{type(error).__name__}: {error}")
        except BaseException:  # nor can it be told: the process may not even read its own library
            return


def start_soon(page, give_up_at, sources):
    """The same in a thread of its own, for a caller that borrows the service's main thread."""
    import _thread

    _thread.start_new_thread(start, (page, give_up_at, sources))


class _Sources:
    """An importer of modules whose text came with the script."""

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
        exec(compile(self.sources[name], f"<{name}>", "exec", dont_inherit=True), module.__dict__)


def _load(sources):
    import importlib

    earlier = sys.modules.get(_PRIVATE)
    if earlier is not None:
        earlier.stop()
        for name in [name for name in sys.modules if name.split(".")[0] == _PRIVATE]:
            del sys.modules[name]
    sys.meta_path[:] = [each for each in sys.meta_path if type(each).__name__ != _Sources.__name__]
    sys.meta_path.append(_Sources(sources))
    importlib.import_module(_PRIVATE).start()


def _import_threading():
    """Import ``threading`` so that it does not take this thread for the main one.

    Until 3.13 the module takes the thread that first imports it for the main thread, and waits at the end of the
    process for a lock that only the main thread's end releases.
    """
    if "threading" in sys.modules or sys.version_info >= (3, 13):
        import threading

        return
    import _thread

    # The oldest thread state comes last; it is the main thread's.
    main = list(sys._current_frames())[-1]
    originals = {name: getattr(_thread, name) for name in ("get_ident", "_set_sentinel")}
    _thread.__dict__.update(get_ident=lambda: main, _set_sentinel=_thread.allocate_lock)
    try:
        import threading
    finally:
        _thread.__dict__.update(originals)
    threading.__dict__.update(originals)


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
