"""What one Python object refers to, each reference with its kind and name, found without running its code.

``gc.get_referents`` is the ground: what it yields is what keeps objects alive. Names come from elsewhere (dict
items, slots, closures, frames, code) and are put on the same references by identity; what has no name stays
INTERNAL. Types that the collector does not traverse (code, cells' names, static types) are read directly.
"""

import collections
import functools
import gc
import types
import weakref

from .stream import EdgeKind

_ATTRIBUTE, _KEY, _KEY_OBJECT, _ITEM = EdgeKind.ATTRIBUTE, EdgeKind.KEY, EdgeKind.KEY_OBJECT, EdgeKind.ITEM
_MEMBER, _LOCAL, _CLOSURE, _SLOT = EdgeKind.MEMBER, EdgeKind.LOCAL, EdgeKind.CLOSURE, EdgeKind.SLOT
_WEAK, _INTERNAL = EdgeKind.WEAK, EdgeKind.INTERNAL

_ATOMS = frozenset(
    (str, bytes, int, bool, float, complex, type(None), type(Ellipsis), type(NotImplemented), range)
)
_namespace = type.__dict__["__dict__"].__get__
_mro = type.__dict__["__mro__"].__get__
_CODE_SLOTS = ("co_consts", "co_names", "co_filename", "co_name", "co_qualname", "co_localsplusnames")
_FUNCTION_SLOTS = (
    "__code__",
    "__globals__",
    "__defaults__",
    "__kwdefaults__",
    "__closure__",
    "__name__",
    "__qualname__",
)
_EXCEPTION_SLOTS = ("args", "__traceback__", "__context__", "__cause__")
_SUSPENDED = {
    types.GeneratorType: ("gi_frame", "gi_code"),
    types.CoroutineType: ("cr_frame", "cr_code"),
    types.AsyncGeneratorType: ("ag_frame", "ag_code"),
}
_LRU_CACHE = type(functools.lru_cache(len))


class References:
    """Finds the references of objects; remembers per type where names and dicts are to be found."""

    def __init__(self):
        self._slots = {}
        self._dict_getters = {}

    def of(self, obj, kind):
        """``[(EdgeKind, label, target), …]``; the label is a str object, a key, a position, or a name."""
        if kind in _ATOMS:
            return []
        if kind is dict:
            return _dict_items(obj)
        if kind is list or kind is tuple:
            return [(_ITEM, index, item) for index, item in enumerate(obj)]
        if kind is types.CodeType:
            return _code(obj)
        if kind is set or kind is frozenset:
            return [(_MEMBER, index, item) for index, item in enumerate(obj)]
        return self._general(obj, kind)

    def _general(self, obj, kind):
        referents = gc.get_referents(obj)
        unnamed = {}
        for target in referents:
            unnamed[id(target)] = target
        edges = []
        if isinstance(obj, type):
            self._type(obj, edges, unnamed)
        elif kind is types.FunctionType:
            self._function(obj, edges, unnamed)
        elif kind in _SUSPENDED:
            _suspended(obj, kind, edges, unnamed)
        elif kind is types.FrameType:
            _frame(obj, edges, unnamed)
        elif kind is types.TracebackType:
            _take(unnamed, edges, _SLOT, "tb_frame", obj.tb_frame)
            _take(unnamed, edges, _SLOT, "tb_next", obj.tb_next)
        elif kind is types.CellType:
            _take(unnamed, edges, _SLOT, "cell_contents", next(iter(unnamed.values()), None))
        elif kind is types.ModuleType:
            _take(unnamed, edges, _SLOT, "__dict__", _module_dict(obj))
        else:
            self._instance(obj, kind, edges, unnamed)
        _take(unnamed, edges, _SLOT, "__class__", kind)
        edges.extend((_INTERNAL, None, target) for target in unnamed.values())
        return edges

    # -- kinds of objects --------------------------------------------------------------------------------------

    def _instance(self, obj, kind, edges, unnamed):
        mro = _mro(kind) or ()
        if dict in mro:
            _take_many(unnamed, edges, _dict_items(obj))
        elif list in mro or tuple in mro:
            walk = list.__iter__ if list in mro else tuple.__iter__
            _take_many(unnamed, edges, [(_ITEM, index, item) for index, item in enumerate(walk(obj))])
        elif collections.deque in mro:
            items = enumerate(collections.deque.__iter__(obj))
            _take_many(unnamed, edges, [(_ITEM, index, item) for index, item in items])
        elif set in mro or frozenset in mro:
            walk = set.__iter__ if set in mro else frozenset.__iter__
            _take_many(unnamed, edges, [(_MEMBER, index, item) for index, item in enumerate(walk(obj))])
        elif BaseException in mro:
            for name in _EXCEPTION_SLOTS:
                _take(unnamed, edges, _SLOT, name, BaseException.__dict__[name].__get__(obj))
        elif weakref.ref in mro:
            target = weakref.ref.__call__(obj)
            if target is not None:
                edges.append((_WEAK, 0, target))
        for name, descriptor in self._members(kind, mro):
            try:
                target = descriptor.__get__(obj)
            except AttributeError:
                continue
            _take(unnamed, edges, _SLOT, name, target)
        self._attributes(obj, kind, mro, edges, unnamed)
        if kind is _LRU_CACHE:
            # Results come first and may be dicts too; the cache itself is the last one that is shown.
            dicts = [target for target in unnamed.values() if type(target) is dict]
            _take(unnamed, edges, _SLOT, "cache", dicts[-1] if dicts else None)

    def _attributes(self, obj, kind, mro, edges, unnamed):
        """Instance attributes: a real ``__dict__`` as a reference of its own, inline values by their names."""
        getter = self._dict_getters.get(kind, 0)
        if getter == 0:
            getter = self._dict_getters[kind] = _dict_getter(mro)
        if getter is None:
            return
        namespace = getter.__get__(obj)
        if type(namespace) is not dict:
            return
        if id(namespace) in unnamed:
            _take(unnamed, edges, _SLOT, "__dict__", namespace)
            return
        # Asking for it made it just now, in this child: in the service the values stand in the instance.
        for name, target in dict.items(namespace):
            unnamed.pop(id(target), None)
            edges.append((_ATTRIBUTE, name, target))

    def _members(self, kind, mro):
        """(name, descriptor) of slots and C members of ``kind``."""
        known = self._slots.get(kind)
        if known is None:
            known = []
            for base in mro:
                for name, descriptor in list(_namespace(base).items()):
                    if type(descriptor) is types.MemberDescriptorType and type(name) is str:
                        known.append((name, descriptor))
            self._slots[kind] = known
        return known

    def _function(self, function, edges, unnamed):
        for name in _FUNCTION_SLOTS:
            _take(unnamed, edges, _SLOT, name, types.FunctionType.__dict__[name].__get__(function))
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or ()):
            edges.append((_CLOSURE, name, cell))
        for target in list(unnamed.values()):
            if type(target) is dict:  # all other dicts of a function were named above
                label = "__annotations__" if "return" in target else "__dict__"
                _take(unnamed, edges, _SLOT, label, target)

    def _type(self, obj, edges, unnamed):
        mro = _mro(obj)
        if mro is None:
            # A static type that was never made ready (some of the interpreter's own): its slots hold nulls, and
            # some of type's getters do not expect that.
            return
        for target in gc.get_referents(_namespace(obj)):
            if type(target) is dict:
                unnamed.setdefault(id(target), target)
                _take(unnamed, edges, _SLOT, "__dict__", target)
        unnamed.setdefault(id(mro), mro)
        _take(unnamed, edges, _SLOT, "__mro__", mro)
        for name in ("__base__", "__bases__"):
            _take(unnamed, edges, _SLOT, name, type.__dict__[name].__get__(obj))


# -- helpers ---------------------------------------------------------------------------------------------------


def _take(unnamed, edges, kind, label, target):
    """Name a reference that the collector's traversal showed; what it did not show is not a reference."""
    if target is not None and unnamed.pop(id(target), None) is not None:
        edges.append((kind, label, target))


def _take_many(unnamed, edges, named):
    for edge in named:
        unnamed.pop(id(edge[2]), None)
    edges.extend(named)


def _dict_items(mapping):
    edges = []
    for key, value in dict.items(mapping):
        edges.append((_KEY_OBJECT, 0, key))
        edges.append((_KEY, key, value))
    return edges


def _code(code):
    edges = []
    for name in _CODE_SLOTS:
        target = getattr(code, name, None)
        if target is not None:
            edges.append((_SLOT, name, target))
    return edges


def _locals(frame, edges, unnamed):
    names = frame.f_locals
    if hasattr(type(names), "items"):
        for name, target in list(names.items()):
            if type(name) is str:
                unnamed.pop(id(target), None)
                edges.append((_LOCAL, name, target))


def _suspended(obj, kind, edges, unnamed):
    frame_name, code_name = _SUSPENDED[kind]
    frame = getattr(obj, frame_name)
    if frame is not None:
        _locals(frame, edges, unnamed)
    code = getattr(obj, code_name)
    unnamed.setdefault(id(code), code)
    _take(unnamed, edges, _SLOT, code_name, code)
    # A frame object that nobody asked for before us is not part of the service.
    if frame is not None:
        unnamed.pop(id(frame), None)


def _frame(frame, edges, unnamed):
    if frame.f_code.co_name != "<module>":
        _locals(frame, edges, unnamed)
    for name in ("f_back", "f_code", "f_globals", "f_builtins"):
        _take(unnamed, edges, _SLOT, name, getattr(frame, name))


def _dict_getter(mro):
    for base in mro:
        descriptor = _namespace(base).get("__dict__")
        if type(descriptor) is types.GetSetDescriptorType:
            return descriptor
    return None


_module_dict = types.ModuleType.__dict__["__dict__"].__get__
