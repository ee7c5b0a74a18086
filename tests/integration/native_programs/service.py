"""A service that is walked while it works; obeys one command a line on standard input, answers with one JSON line.

usage: service.py WALKER FD [THREADS]
commands: snapshot (keeps FD), last (closes FD after it), place, check, limit (no more processes), end
"""

import gc
import json
import os
import resource
import signal
import sys
import threading
import time
from importlib import machinery, util

loader = machinery.ExtensionFileLoader("_walker", sys.argv[1])
walker = util.module_from_spec(util.spec_from_loader("_walker", loader))
loader.exec_module(walker)

FD = int(sys.argv[2])
HELD = [{"pk": {"S": f"item-{n}"}, "list": [n, str(n)]} for n in range(4000)]
signals = []
signal.signal(signal.SIGCHLD, lambda number, frame: signals.append(number))
listening = os.open("/dev/null", os.O_RDONLY)  # something that the child must not keep
stopping = threading.Event()
beats = [0] * int(sys.argv[3]) if len(sys.argv) > 3 else []


def work(number):
    kept = []
    while not stopping.is_set():
        kept.append({"key": [number, object()], "text": "x" * (beats[number] % 97)})
        if len(kept) > 500:
            kept.clear()
        beats[number] += 1


def own_children():
    """Children of this process that are there, zombies included: pid -> state."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found[name] = fields[0]
    return found


def snapshot(in_place=False):
    result = walker.snapshot(FD, b"{}", {"in_place": in_place, "limit_seconds": 30})
    result["held"] = not gc.isenabled()
    return result


def obey(command):
    word, _, rest = command.strip().partition(" ")
    if word in ("snapshot", "place"):
        return snapshot(word == "place")
    if word == "last":
        result = snapshot()
        os.close(FD)
        return result
    if word == "wait":
        return {"status": walker.wait(int(rest), 30.0)}
    if word == "child":
        folder = f"/proc/{rest}/"
        with open(folder + "comm") as comm, open(folder + "oom_score_adj") as adjust:
            return {"name": comm.read().strip(), "oom": int(adjust.read()), "fds": os.listdir(folder + "fd")}
    if word == "check":
        try:
            waited = os.waitpid(-1, os.WNOHANG)[0]
        except ChildProcessError:
            waited = None
        return {
            "children": own_children(),
            "signals": len(signals),
            "waited": waited,
            "gc": gc.isenabled(),
            "beats": sum(beats),
            "intact": sum(len(each) for each in HELD),
        }
    if word == "fork":
        pid = os.fork()
        if pid == 0:
            os._exit(0 if gc.isenabled() else 1)
        return {"child_had_collector": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0}
    if word == "limit":
        os.setuid(65534)  # root is above this limit
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        return {}
    raise ValueError(command)


def main():
    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(len(beats))]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        try:
            answer = obey(line)
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(answer), flush=True)
    stopping.set()
    for thread in threads:
        thread.join()


main()
