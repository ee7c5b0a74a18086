"""Holds one structure of every kind, and lets go of each when asked; says what the allocator then had back.

With ``-X tracemalloc`` it counts the bytes that were asked for, without the allocator's rounding; otherwise what
the allocators have in use. Each structure holds one ``bytes`` of a length of its own, so that it can be recognised
from outside.
"""

import collections
import ctypes
import functools
import gc
import json
import os
import re
import sys
import tempfile
import tracemalloc
import types

import forensics.agent  # noqa: F401  (starts the agent)

COUNT = 4000
holding = types.ModuleType("holding")
sys.modules["holding"] = holding
del types


def text(kind, i):
    return f"{kind} number {i:08d} of a long-lived service"


def marker(number):
    return bytes(70_000 + number)


def response(kind, i):
    return {
        "Items": [{"pk": {"S": text(kind, i)}, "n": {"N": str(i * 7919)}}],
        "Count": 1,
        "Next": [i + 10**6],
    }


def belongs(cls):
    cls.__module__ = "holding"
    setattr(holding, cls.__name__, cls)
    return cls


@belongs
class Service:
    def __init__(self):
        self.trail = [response("trail", i) for i in range(COUNT)] + [marker(3)]


@belongs
class Slotted:
    __slots__ = ("key", "value")

    def __init__(self, i):
        self.key = text("slotted", i)
        self.value = [i + 0.5]


@belongs
class Plain:
    def __init__(self, i):
        self.key = text("plain", i)
        self.value = (i + 0.5, i + 0.25)


@belongs
class Opened(Plain):
    """The same once somebody has looked at ``__dict__``."""

    def __init__(self, i):
        super().__init__(i)
        self.__dict__["last"] = response("opened", i)


@belongs
class Node:
    def __init__(self, i):
        self.name = text("node", i)
        self.other = None


@belongs
class Registry:
    entries = {text("entry", i): [response("entry", i)] for i in range(COUNT)}  # noqa: RUF012
    entries["marker"] = marker(14)


def pair(i):
    one, two = Node(i), Node(-i)
    one.other, two.other = two, one
    return one


def register():
    pages = [response("closure", i) for i in range(COUNT)] + [marker(4)]

    def on_flush():
        return pages

    return on_flush


def fetch(i):
    return response("cached", i) if i < COUNT else marker(5)


def inner(rows):
    kept = [response("generator", i) for i in range(COUNT)] + [marker(10)]
    yield len(kept)


def outer():
    rows = [text("outer", i) for i in range(10)]
    yield from inner(rows)


def build():
    holding.RESPONSES = {f"k{i}": response("response", i) for i in range(COUNT)} | {"marker": marker(1)}
    holding.ITEMS = [response("item", i) for i in range(COUNT)] + [marker(2)]
    holding.SERVICE = Service()
    holding.on_flush = register()
    holding.load = functools.lru_cache(maxsize=2 * COUNT)(fetch)
    for i in range(COUNT + 1):
        holding.load(i)
    holding.SLOTTED = [Slotted(i) for i in range(COUNT)] + [marker(6)]
    holding.PLAIN = [Plain(i) for i in range(COUNT)] + [marker(7)]
    holding.OPENED = [Opened(i) for i in range(COUNT)] + [marker(8)]
    holding.SEEN = {(text("seen", i), i + 0.5) for i in range(COUNT)} | {(marker(9),)}
    holding.STREAM = outer()
    next(holding.STREAM)
    holding.PAIRS = [pair(i) for i in range(1, COUNT)] + [marker(11)]
    holding.RECENT = collections.deque([response("recent", i) for i in range(COUNT)] + [marker(12)])
    holding.ORDERED = collections.OrderedDict((text("key", i), [i + 0.5]) for i in range(COUNT))
    holding.ORDERED["marker"] = marker(13)


CUTS = {
    "holding.RESPONSES": lambda: delattr(holding, "RESPONSES"),
    "holding.ITEMS": lambda: delattr(holding, "ITEMS"),
    "holding.SERVICE.trail": lambda: delattr(holding.SERVICE, "trail"),
    "closure of on_flush: pages": lambda: delattr(holding.on_flush.__closure__[0], "cell_contents"),
    "holding.load.cache": lambda: holding.load.cache_clear(),
    "holding.SLOTTED": lambda: delattr(holding, "SLOTTED"),
    "holding.PLAIN": lambda: delattr(holding, "PLAIN"),
    "holding.OPENED": lambda: delattr(holding, "OPENED"),
    "holding.SEEN": lambda: delattr(holding, "SEEN"),
    "generator inner() local kept": lambda: holding.STREAM.close(),
    "holding.PAIRS": lambda: delattr(holding, "PAIRS"),
    "holding.RECENT": lambda: delattr(holding, "RECENT"),
    "holding.ORDERED": lambda: delattr(holding, "ORDERED"),
    "holding.Registry.entries": lambda: delattr(holding.Registry, "entries"),
}


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def in_use():
    """Bytes in blocks in use: small ones by sys._debugmallocstats, which writes to standard error, others by malloc."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        file.seek(0)
        said = file.read().decode()
    small = int(re.search(r"in allocated blocks\s*=\s*([\d,]+)", said).group(1).replace(",", ""))
    arenas = int(re.search(r"arenas \* \d+ bytes/arena\s*=\s*([\d,]+)", said).group(1).replace(",", ""))
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    # Arenas are mapped by Python itself and are not in malloc's count.
    assert arenas >= small
    rest = mallinfo2()
    return small + rest.uordblks + rest.hblkhd


def counts():
    gc.collect()
    gc.collect()
    sizes = tracemalloc.get_traced_memory()[0] if tracemalloc.is_tracing() else in_use()
    return {"bytes": sizes, "blocks": sys.getallocatedblocks()}


def main():
    build()
    gc.collect()
    counts()
    print("READY", os.getpid(), flush=True)
    for line in sys.stdin:
        before = counts()
        CUTS[line.rstrip("\n")]()
        after = counts()
        print(json.dumps({name: before[name] - after[name] for name in before}), flush=True)


if __name__ == "__main__":
    main()
