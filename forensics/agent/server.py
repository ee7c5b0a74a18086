"""The agent's server: a daemon thread that answers one JSON line per connection on a unix socket.

A request is one line, ``{"verb": …}``; the answer is one line, or for ``snapshot`` the walker's stream
(see ``stream.py``), or one line ``{"error": …}``. Only root and the service's own user are answered.

A capture keeps a connection with the verb ``stay`` open as long as it lasts. An agent that was brought in from
outside, and so has nothing to wait for, stops when the last of these connections ends, which it also does when the
capturing process is killed, or when none has come for a minute.

Between the two it makes the interpreter switch threads more often. A service that computes without a pause, or that
lets go of the interpreter's lock for some microseconds every few milliseconds, would else keep it from the agent for
seconds on end; the more frequent switches cost such a service less than a capture that drags on.
"""

import json
import os
import platform
import socket
import stat
import struct
import sys
import threading

_PEER = struct.Struct("3i")
#: Where the socket goes: the first of them that the service may write to. Containers often have no writable /tmp.
_PLACES = ("/tmp", "/dev/shm", "/var/tmp")
_state = {"thread": None, "listener": None, "path": None, "pid": None, "guests": 0, "interval": None}
#: how long the service's threads may keep the interpreter's lock while a capture lasts, seconds
_INTERVAL = 0.0005
#: how long an agent that came from outside waits for its first capture, seconds
_PATIENCE = 60.0
_guests_lock = threading.Lock()


def socket_paths(pid, root=""):
    """Where the agent of process ``pid`` may listen; ``root`` is ``/proc/PID/root`` for a look from outside.

    ``pid`` is the process id as the target itself sees it (the last ``NSpid`` of ``/proc/PID/status``).
    """
    return ["{}{}/.forensics-agent/{}.sock".format(root, place, pid) for place in _PLACES]


def serving():
    """Whether this process's agent is up."""
    thread = _state["thread"]
    return _state["pid"] == os.getpid() and thread is not None and thread.is_alive()


def start():
    """Listen, once per process; returns the socket's path. Cheap: one thread that sleeps in ``accept``."""
    if serving():
        return _state["path"]
    first_time = _state["pid"] is None
    path, listener = _listen_somewhere()
    thread = threading.Thread(target=_serve, args=(listener,), name="forensics-agent", daemon=True)
    _state.update(thread=thread, listener=listener, path=path, pid=os.getpid(), guests=0)
    if not _invited():
        listener.settimeout(_PATIENCE)
        _switch_often(True)
    thread.start()
    if first_time:
        # Prefork servers import the application in the master: each worker needs a socket of its own.
        os.register_at_fork(after_in_child=_restart_in_worker)
    return path


def stop():
    """Stop listening and remove the socket."""
    if serving():
        listener = _state["listener"]
        _state.update(thread=None, listener=None, pid=0)
        _switch_often(False)
        # shutdown() wakes the thread out of accept(); close() alone would not.
        with _quiet():
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with _quiet():
            os.unlink(_state["path"])


def _quiet():
    import contextlib

    return contextlib.suppress(OSError)


def _listen_somewhere():
    failure = None
    for path in socket_paths(os.getpid()):
        try:
            return path, _listen(path)
        except OSError as error:
            failure = failure or error
    raise failure


def _listen(path):
    folder = os.path.dirname(path)
    with _quiet():
        # Like /tmp itself: anybody may make a socket there, nobody may remove another's.
        os.mkdir(folder)
        os.chmod(folder, 0o1777)
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or (
        found.st_uid not in (0, os.getuid()) and not found.st_mode & stat.S_ISVTX
    ):
        raise OSError("{} is not a folder that the agent can trust".format(folder))
    _remove_stale(folder)
    with _quiet():
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(4)
    return listener


def _remove_stale(folder):
    """Remove sockets of processes that are gone. Nobody listening is the proof: a PID of another namespace is none."""
    for name in os.listdir(folder):
        with _quiet(), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as trial:
            trial.setblocking(False)
            try:
                trial.connect(os.path.join(folder, name))
            except ConnectionRefusedError:
                os.unlink(os.path.join(folder, name))


def _restart_in_worker():
    from . import walking

    if walking.in_walker_child() or _state["pid"] in (0, os.getpid()):
        return
    walking.start_afresh()
    _switch_often(False)
    global _guests_lock
    _guests_lock = threading.Lock()
    inherited = _state["listener"]
    _state.update(thread=None, listener=None)
    if inherited is not None:
        inherited.close()
    with _quiet():
        start()


def _serve(listener):
    with _quiet():  # the thread that brought us here may have been bound to one core
        os.sched_setaffinity(0, os.sched_getaffinity(os.getpid()))
    while True:
        try:
            connection, _ = listener.accept()
        except socket.timeout:  # its name since 3.10 is TimeoutError
            with _guests_lock:
                if not _state["guests"]:
                    stop()
            continue
        except OSError:
            return
        # A thread each: counters are asked for while a snapshot is under way.
        name = "forensics-agent-answer"
        try:
            threading.Thread(target=_handle, args=(connection,), name=name, daemon=True).start()
        except RuntimeError as error:  # no more threads allowed
            with _quiet(), connection:
                _send(connection, {"error": str(error)})
        del connection


def _handle(connection):
    with connection:
        try:
            if _trusted(connection):
                _answer(connection)
        except Exception as error:  # the service must never notice us, whatever went wrong
            with _quiet():
                _send(connection, {"error": "{}: {}".format(type(error).__name__, error)})


def _trusted(connection):
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return _PEER.unpack(raw)[1] in (0, os.getuid(), os.geteuid())


def _answer(connection):
    connection.settimeout(10)
    line = b""
    while not line.endswith(b"\n"):
        more = connection.recv(65536)
        if not more or len(line) > 1 << 20:
            return
        line += more
    connection.settimeout(None)
    request = json.loads(line.decode())
    verb = _VERBS.get(request.get("verb"))
    if verb is None:
        _send(connection, {"error": "unknown verb {!r}".format(request.get("verb"))})
        return
    answer = verb(request, connection)
    if answer is not None:
        _send(connection, answer)


def _send(connection, answer):
    connection.sendall(json.dumps(answer).encode() + b"\n")


# -- verbs -----------------------------------------------------------------------------------------------------


def _ping(request, connection):
    return {
        "pid": os.getpid(),
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
    }


def _stay(request, connection):
    """Count the capture behind ``connection`` as a guest until it goes; then, without guests, go too."""
    with _guests_lock:
        if not serving():
            return {"error": "the agent is about to go"}
        _state["guests"] += 1
        _switch_often(True)
    try:
        _send(connection, {"staying": True})
        while connection.recv(1):
            pass
    except OSError:
        pass
    with _guests_lock:
        _state["guests"] -= 1
        if not _state["guests"]:
            _switch_often(False)
            if not _invited():
                stop()
    return None


def _switch_often(often):
    """Shorten the service's switch interval, or give it back its own; a second time changes nothing."""
    usual, now = _state["interval"], sys.getswitchinterval()
    if often and usual is None and now > _INTERVAL:
        _state["interval"] = now
        sys.setswitchinterval(_INTERVAL)
    elif not often and usual is not None:
        _state["interval"] = None
        if now == _INTERVAL:  # else the service has set it meanwhile
            sys.setswitchinterval(usual)


def _invited():
    """Whether the service imported the agent itself."""
    return not __name__.startswith("_")


def _modules(request, connection):
    """Names and files of the imported modules, for the index of sources."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__dict__", {}).get("__file__") if type(module) is type(sys) else None
        if isinstance(name, str) and isinstance(file, str):
            found.append([name, file])
    return {
        "modules": found,
        "path": [entry for entry in sys.path if isinstance(entry, str)],
        "cwd": os.getcwd(),
    }


def _responses(request, connection):
    tracing = sys.modules.get("forensics.agent.tracing") or sys.modules.get("_forensics_agent.tracing")
    return {"installed": tracing is not None, "rows": tracing.rows() if tracing is not None else []}


def _snapshot(request, connection):
    from . import walking

    walking.snapshot(request, connection)


def _last(request, connection):
    from . import walking

    return walking.result_of_last()


def _runtime(verb):
    """A verb that lives in ``process.py``: looked up when it is asked for, so that starting stays cheap."""

    def call(request, connection):
        from . import process

        return getattr(process, verb)(request)

    return call


_VERBS = {
    "ping": _ping,
    "stay": _stay,
    "modules": _modules,
    "responses": _responses,
    "snapshot": _snapshot,
    "last": _last,
    "counters": _runtime("counters"),
    "memray-start": _runtime("memray_start"),
    "memray-stop": _runtime("memray_stop"),
}
