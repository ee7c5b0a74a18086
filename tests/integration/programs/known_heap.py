"""A process whose heap is known: it says what is in it, by gc, objgraph, pympler and sys.getsizeof, and waits."""

import asyncio
import collections
import contextvars
import functools
import gc
import json
import sys
import threading
import time

import forensics.agent


class Repo:
    def __init__(self, number):
        self.number = [number]
        self.page = {"Items": [number]}


class Slotted:
    __slots__ = ("page", "token")

    def __init__(self):
        self.page = {"pk": {"S": "slot"}}
        self.token = ["slot"]


class Opened(Repo):
    pass


def response(number):
    item = {"pk": {"S": f"USER#{number}"}, "n": {"N": str(number)}, "b": {"B": b"\x00\x01" * number}}
    return {
        "Items": [item],
        "Count": 1,
        "ResponseMetadata": {"RequestId": f"R{number}", "HTTPStatusCode": 200},
    }


def on_flush(page):
    def flush():
        return page

    return flush


def pages(first):
    held = [first]
    yield held


async def waiting(item):
    local_item = [item]
    await asyncio.sleep(3600)
    return local_item


@functools.lru_cache(maxsize=None)  # noqa: UP033 - as services have it
def cached(key):
    return [key]


def stored_error():
    frame_local = {"held": "by the traceback"}
    raise ValueError(frame_local["held"])


RESPONSES = {f"k{number}": response(number) for number in range(200)}
NUMBERED = {number: [number] for number in (1, 2, 3)}
REPOS = [Repo(number) for number in range(50)]
OPENED = Opened(1)
OPENED.__dict__["late"] = ["late"]
SLOTTED = Slotted()
FLUSH = on_flush({"page": "in a closure"})
PAGES = pages("first")
next(PAGES)
QUEUE = collections.deque([["queued"]])
SETS = {("a", 1), ("b", 2)}
CURRENT = contextvars.ContextVar("current")
CURRENT.set(["in a context"])
LOCAL = threading.local()
LOCAL.page = ["of a thread"]
cached("the key")
try:
    stored_error()
except ValueError as caught:
    ERROR = caught
CYCLE = [{"cycle": None}]
CYCLE[0]["cycle"] = CYCLE


def worker():
    worker_items = [["held by a frame"]]
    threading.Event().wait(3600)
    return worker_items


def run_loop():
    loop = asyncio.new_event_loop()
    task = loop.create_task(waiting("async item"))
    loop.run_forever()
    return task


def closure_of(start):
    """Every object that start keeps alive: referents, keys and all; the oracle."""
    found, stack = {}, [start]
    while stack:
        obj = stack.pop()
        if id(obj) in found or isinstance(obj, type):
            continue
        found[id(obj)] = obj
        stack.extend(gc.get_referents(obj))
        if type(obj) is dict:
            stack.extend(obj)
    return found


def main():
    import objgraph
    from pympler import asizeof

    gc.disable()
    garbage = [{"unreachable": "cycle"}]
    garbage.append(garbage)
    lost = id(garbage)
    del garbage
    for target in (worker, run_loop):
        threading.Thread(target=target, daemon=True, name=target.__name__).start()
    time.sleep(0.3)
    held = closure_of(RESPONSES)
    said = {
        "responses": id(RESPONSES),
        "closure": {str(address): [type(obj).__name__, sys.getsizeof(obj)] for address, obj in held.items()},
        "asizeof": asizeof.asizeof(RESPONSES),
        "tracked": {name: objgraph.count(name) for name in ("Repo", "Slotted", "Opened")},
        "garbage": lost,
        "opened_dict": id(OPENED.__dict__),
    }
    del held
    print(json.dumps(said), flush=True)
    time.sleep(3600)


if __name__ == "__main__":
    forensics.agent.start()
    main()
