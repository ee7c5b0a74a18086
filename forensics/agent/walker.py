"""The Python walker: the whole object graph of this process, breadth first from the roots, in plain Python.

It runs in a forked child, so it sees one instant, and what it touches is copied by the kernel and not changed in
the service. It takes about 5 microseconds an object and as much memory again as the service has; the native walker
does the same in a tenth of both. It never calls ``str``, ``repr``, ``__getattr__``, ``__sizeof__`` or iterators of
the service's own classes: only C code of the interpreter.

What it cannot see: a fork clears the states of the other threads, so their ``threading.local`` values and current
contexts are gone in the child. The native walker forks without that and sees them.

Collector-tracked objects are not enough: dicts and tuples of plain values are untracked, and strings, numbers and
bytes never are tracked. So the walk follows referents, and takes what is left on the collector's lists last.
"""

import gc
import struct
import sys
import time
import types

from .references import References
from .stream import (
    CODE,
    EDGE,
    FRAME,
    KIND_SHIFT,
    LABEL_MASK,
    OBJECT,
    ROOT,
    VALUE,
    VALUE_LIMIT,
    EdgeKind,
    ObjectFlag,
    RootKind,
    StreamWriter,
    ValueKind,
)

_HAVE_GC = 1 << 14
_HEAP_TYPE = 1 << 9
_GC_HEADER = struct.calcsize("PP")
_POINTER = struct.calcsize("P")
_MAX_U32 = (1 << 32) - 1
_LIST_HEADER = list.__sizeof__([])
_type_flags = type.__dict__["__flags__"].__get__
_C_METHODS = (types.MethodDescriptorType, types.WrapperDescriptorType)


class FrameRecord:
    """A running frame as it was before the fork; its locals are held here because a fork drops other threads."""

    __slots__ = ("address", "code", "depth", "line", "locals", "thread")

    def __init__(self, frame, thread, depth):
        self.address = id(frame)
        self.thread = thread
        self.depth = depth
        self.line = frame.f_lineno or 0
        self.code = frame.f_code
        names = frame.f_locals
        # Module frames: f_locals is the module's own dict, which is walked as such.
        module_level = frame.f_code.co_name == "<module>"
        self.locals = [] if module_level or not hasattr(type(names), "items") else list(names.items())


def running_frames(skip=()):
    """The frames of every thread but those in ``skip``, as ``FrameRecord``; call it before the fork."""
    records = []
    for thread, frame in sys._current_frames().items():
        depth = 0
        while frame is not None and thread not in skip:
            records.append(FrameRecord(frame, thread, depth))
            frame = frame.f_back
            depth += 1
    return records


def walk(header, frames, write, values=True):
    """Walk everything and stream it through ``write(bytes)``; returns nothing.

    Parameters
    ----------
    header : dict, the stream's first block
    frames : what ``running_frames`` gave before the fork
    values : False leaves out the values of strings, bytes and numbers
    """
    gc.disable()
    tracked = gc.get_objects()
    _Walk(write, values).run(header, frames, tracked)


class _Walk:
    def __init__(self, write, values):
        self.out = StreamWriter(write)
        self.values = values
        self.seen = set()
        self.stack = []
        self.types = {}
        self.sizers = {}
        self.references = References()
        self.objects = 0
        self.edges = 0
        self.flags = 0
        # Held elsewhere than in the service: the walk's own containers must not be walked.
        self.seen.update(map(id, (self, self.seen, self.stack, self.types, self.sizers, self.__dict__)))
        self.seen.update(map(id, (self.out, self.out.__dict__, self.references, self.references.__dict__)))

    def run(self, header, frames, tracked):
        begin = time.perf_counter()
        self.out.json_block(b"H", header)
        self.seen.update((id(tracked), id(frames), id(header)))
        self.seen.update(id(record) for record in frames)
        self.seen.update(id(record.locals) for record in frames)
        self._root(RootKind.MODULES, "sys.modules", sys.modules)
        self._root(RootKind.BUILTINS, "builtins", sys.modules["builtins"].__dict__)
        self._root(RootKind.SYS, "sys", sys.__dict__)
        for record in frames:
            self._frame(record)
        self._drain()
        self.flags = ObjectFlag.GC_LIST_ONLY
        for index in range(len(tracked)):
            # By index: a loop variable would be one more reference, and references are what tells garbage.
            if id(tracked[index]) not in self.seen and type(tracked[index]) is not types.FrameType:
                self._push(tracked[index])
                self._drain()
        self.out.end(
            {"objects": self.objects, "edges": self.edges, "seconds": round(time.perf_counter() - begin, 6)}
        )

    # -- the walk ----------------------------------------------------------------------------------------------

    def _push(self, obj):
        if id(obj) not in self.seen:
            self.seen.add(id(obj))
            self.stack.append(obj)

    def _drain(self):
        stack = self.stack
        visit = self._visit
        while stack:
            visit(stack.pop())

    def _visit(self, obj):
        kind = type(obj)
        flags = self.flags
        if gc.is_tracked(obj):
            flags |= ObjectFlag.GC_TRACKED
        # Ours are the parameters of getrefcount and of this function, and the list of tracked objects.
        ours = 2 + bool(flags & ObjectFlag.GC_TRACKED)
        refcount = min(max(0, sys.getrefcount(obj) - ours), _MAX_U32)
        edges = self.references.of(obj, kind)
        type_id = self._type_id(kind)
        size = self._size(obj, kind)
        length, capacity = _extent(obj, kind, size)
        value = self._value(obj, kind) if self.values else None
        if value is not None and value[2]:
            flags |= ObjectFlag.VALUE_CUT
        self._object(id(obj), size, length, type_id, edges, capacity, refcount, flags)
        if value is not None:
            raw, value_kind, _ = value
            self.out.add(b"V", VALUE.pack(id(obj), length, len(raw), value_kind) + raw)
        if kind is types.CodeType:
            name = getattr(obj, "co_qualname", obj.co_name)
            self._push(name)
            self.out.add(b"C", CODE.pack(id(obj), id(name), id(obj.co_filename), obj.co_firstlineno, 0))
        self.out.flush_if_full()

    def _object(self, address, size, length, type_id, edges, capacity, refcount, flags):
        self.objects += 1
        self.edges += len(edges)
        add = self.out.add
        add(
            b"O",
            OBJECT.pack(
                address, size, length, type_id, len(edges), min(capacity, _MAX_U32), refcount, flags, 0
            ),
        )
        string_id = self.out.string_id
        push = self._push
        for edge_kind, label, target in edges:
            if edge_kind in _LABELLED_BY_OBJECT:
                push(label)
                label = id(label)
            elif edge_kind in _LABELLED_BY_NAME:
                label = string_id(label) if label else 0
            push(target)
            add(b"E", EDGE.pack(id(target), (label & LABEL_MASK) | (edge_kind << KIND_SHIFT)))

    def _frame(self, record):
        """A running frame as an object of type ``frame`` whose references are its locals."""
        if record.address in self.seen:
            return
        self.seen.add(record.address)
        edges = [(EdgeKind.LOCAL, name, value) for name, value in record.locals if type(name) is str]
        edges.append((EdgeKind.SLOT, "f_code", record.code))
        type_id = self._type_id(types.FrameType)
        self._object(record.address, 0, len(record.locals), type_id, edges, 0, 0, ObjectFlag.SYNTHETIC)
        frame = FRAME.pack(record.address, record.thread, id(record.code), record.depth, record.line, 0, 0)
        self.out.add(b"F", frame)
        self.out.add(b"R", ROOT.pack(record.address, self.out.string_id("frame"), RootKind.FRAME))

    def _root(self, kind, name, obj):
        self.out.add(b"R", ROOT.pack(id(obj), self.out.string_id(name), kind))
        self._push(obj)

    # -- facts about one object --------------------------------------------------------------------------------

    def _type_id(self, kind):
        known = self.types.get(kind)
        if known is None:
            known = self.types[kind] = len(self.types) + 1
            self.out.type(known, id(kind), type_name(kind))
            self._push(kind)
        return known

    def _size(self, obj, kind):
        sizer = self.sizers.get(kind)
        if sizer is None:
            sizer = self.sizers[kind] = _sizer(kind)
        size = sizer(obj)
        return size if 0 <= size < 1 << 48 else 0

    def _value(self, obj, kind):
        """(bytes, ValueKind, was cut) of a plain value, None for all else; exact types only, no user code."""
        if kind is str:
            return obj[:VALUE_LIMIT].encode("utf-8", "surrogatepass"), ValueKind.UTF8, len(obj) > VALUE_LIMIT
        if kind is bytes:
            return obj[:VALUE_LIMIT], ValueKind.BYTES, len(obj) > VALUE_LIMIT
        if kind is bool:
            return (b"True" if obj else b"False"), ValueKind.INT, False
        if kind is int:
            if obj.bit_length() > 3000:
                return b"", ValueKind.INT, True
            return int.__repr__(obj).encode(), ValueKind.INT, False
        if kind is float:
            return struct.pack("<d", obj), ValueKind.FLOAT, False
        if kind.__name__ == "Decimal" and kind is getattr(sys.modules.get("decimal"), "Decimal", None):
            text = kind.__str__(obj).encode()
            return text[:VALUE_LIMIT], ValueKind.DECIMAL, len(text) > VALUE_LIMIT
        return None


_LABELLED_BY_OBJECT = frozenset((EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CLOSURE, EdgeKind.KEY))
_LABELLED_BY_NAME = frozenset((EdgeKind.SLOT, EdgeKind.INTERNAL))


def type_name(kind):
    """``module.qualname`` of a type without running a metaclass's code; builtins without their module."""
    names = type.__dict__["__dict__"].__get__(kind) or {}
    qualname = type.__dict__["__qualname__"].__get__(kind)
    module = names.get("__module__")
    if not isinstance(module, str):
        try:
            module = type.__dict__["__module__"].__get__(kind)
        except AttributeError:
            module = "builtins"
    return (
        qualname if module == "builtins" or not isinstance(module, str) else "{}.{}".format(module, qualname)
    )


def _sizer(kind):
    """A function object -> bytes for ``kind`` that runs no Python code of the service."""
    for base in type.__dict__["__mro__"].__get__(kind) or ():
        method = type.__dict__["__dict__"].__get__(base).get("__sizeof__")
        if method is None:
            continue
        if isinstance(method, _C_METHODS):
            if base is type:
                return lambda obj: type.__sizeof__(obj) + (_GC_HEADER if _type_flags(obj) & _HEAP_TYPE else 0)
            if kind.__flags__ & _HAVE_GC:
                return lambda obj: method(obj) + _GC_HEADER
            return method
        # The class overrides __sizeof__ in Python: the next C implementation below it tells.
    return object.__sizeof__


def _extent(obj, kind, size):
    """(elements in use, elements allocated)."""
    if kind is str or kind is bytes or kind is dict or kind is tuple or kind is set or kind is frozenset:
        return len(obj), len(obj)
    if kind is list:
        return len(obj), max(len(obj), (size - _GC_HEADER - _LIST_HEADER) // _POINTER)
    for base in (dict, list, tuple, set, frozenset, str, bytes, bytearray):
        if issubclass(kind, base):
            length = base.__len__(obj)
            return length, length
    return 0, 0
