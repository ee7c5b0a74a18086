"""A heap whose every part is known, walked by the native walker at the path given; then says what is true of it.

usage: known.py WALKER FD [child|place]
"""

import array
import collections
import functools
import gc
import io
import json
import os
import sys
import threading
import time
import weakref
from decimal import Decimal
from importlib import machinery, util

loader = machinery.ExtensionFileLoader("_walker", sys.argv[1])
walker = util.module_from_spec(util.spec_from_loader("_walker", loader))
loader.exec_module(walker)


class Plain:
    def __init__(self, number):
        self.first = ["first", number]
        self.second = {"second": number}


class Slotted:
    __slots__ = ("__weakref__", "slot")


class Mapping(dict):
    pass


class Number(int):
    pass


class Failure(Exception):
    pass


def suspended(parameter):
    inner = [parameter]
    yield inner
    yield None


async def waiting(parameter):
    await Awaited(parameter)


class Awaited:
    def __init__(self, parameter):
        self.parameter = parameter

    def __await__(self):
        yield self


def enclosing(free):
    def closure():
        return free

    return closure


@functools.lru_cache(maxsize=8)
def cached(key):
    return ["result of", key]


def pages():
    yield from ([f"page {n}"] for n in range(1000000))


def worker(ready, stop):
    thread_local_name = ["held by a thread alone"]
    ready.append(id(thread_local_name))
    for page in pages():  # the iterator is in no variable, only on the evaluation stack
        ready.append(id(page))
        while not stop:
            time.sleep(0.005)
        break


def build():
    known = {}
    known["plain"] = [Plain(n) for n in range(5)]
    known["with_dict"] = Plain(6)
    known["with_dict"].__dict__["third"] = [3]
    known["slotted"] = Slotted()
    known["slotted"].slot = ["in the slot"]
    known["mapping"] = Mapping(key=["in the mapping"])
    known["mapping"].extra = ["beside the mapping"]
    known["number"] = Number(10**30)
    known["number"].unit = ["of the number"]
    known["generator"] = suspended(["parameter"])
    next(known["generator"])
    known["coroutine"] = waiting(["awaited"])
    known["coroutine"].send(None)
    known["closure"] = enclosing(["free"])
    cached("argument")
    known["cached"] = cached
    known["deque"] = collections.deque([[n] for n in range(200)], maxlen=400)
    known["ordered"] = collections.OrderedDict((str(n), [n]) for n in range(50))
    known["defaults"] = collections.defaultdict(list, {"a": [1]})
    known["set"] = {("member", n) for n in range(100)}
    known["frozen"] = frozenset(["one", "two"])
    known["tuple"] = (1, "two", [3])
    known["texts"] = ["ascii", "latin-\u00e9", "two bytes \u1234", "four bytes \U0001f40d", "x" * 5000]
    known["texts"][2].encode()
    known["numbers"] = [0, 1, -7, 10**40, 2**200, True, 1.5, 1 + 2j, -(10**5000)]
    known["decimals"] = [
        Decimal(t) for t in ("1.50", "-0.001", "1E+30", "NaN", "-Infinity", "0", "7" * 60, "1E-9")
    ]
    known["bytes"] = [b"bytes", bytearray(b"bytearray"), memoryview(b"view"), b"y" * 3000]
    known["array"] = array.array("d", range(10))
    known["buffer"] = io.BytesIO(b"z" * 700)
    known["weak"] = weakref.ref(known["slotted"])
    known["grown"] = []
    for n in range(77):
        known["grown"].append(n)
    try:
        raise Failure(["argument of the exception"])
    except Failure as failure:
        known["failure"] = failure
    known["module"] = json
    known["builtin"] = known["texts"].append
    return known


KNOWN = build()


def garbage():
    a, b = ["cyclic garbage"], []
    a.append(b)
    b.append(a)
    return id(a)


def closure_of(root):
    """Addresses of all that gc.get_referents reaches, and the keys of dicts: id -> (type, size, refcount)."""
    found, todo = {}, [root]
    skip = (type, type(json), type(build), type(build.__code__), type(len), type(sys._getframe()))
    while todo:
        each = todo.pop()
        if id(each) in found or isinstance(each, skip):
            continue
        found[id(each)] = [type(each).__name__, sys.getsizeof(each)]
        todo.extend(gc.get_referents(each))
        if type(each) is dict:
            todo.extend(each)
    return found


def main():
    mode = sys.argv[3] if len(sys.argv) > 3 else "child"
    fd = int(sys.argv[2])
    ready, stop = [], []
    thread = threading.Thread(target=worker, args=(ready, stop))
    thread.start()
    while len(ready) < 2:
        time.sleep(0.001)
    gc.collect()
    gc.disable()
    lost = garbage()
    result = walker.snapshot(
        fd, b'{"runtime": "python"}', {"caller_frames": True, "in_place": mode == "place"}
    )
    os.close(fd)
    status = walker.wait(result["child_pid"], 60.0) if result["child_pid"] else 0
    said = {
        "result": result,
        "status": status,
        "version": list(sys.version_info[:2]),
        "given_up": walker.names_given_up(),
        "known": {name: id(value) for name, value in KNOWN.items()},
        "closure": closure_of(KNOWN),
        "thread_value": ready[0],
        "thread_page": ready[1],
        "garbage": lost,
        "zombies": zombies(),
        "gc_enabled": gc.isenabled(),
        "decimals": [str(d) for d in KNOWN["decimals"]],
        "yielded": id(KNOWN["generator"].gi_frame.f_locals["inner"]),
    }
    stop.append(True)
    thread.join()
    print(json.dumps(said), flush=True)


def zombies():
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid():
                found.append(fields[0])
    return found


if __name__ == "__main__":
    main()
