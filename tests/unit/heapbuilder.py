"""Small heaps for tests: real Python objects of this process as a HeapGraph, values masked as in a capture.

    graph = heap(orders_api={"RESPONSES": {"k1": query_response(3)}})

makes a graph whose ``sys.modules`` holds a module ``orders_api`` with that namespace.
"""

import types
from decimal import Decimal

import numpy as np
import pyarrow as pa

from forensics.agent.references import References
from forensics.agent.stream import EdgeKind, RootKind
from forensics.agent.walker import type_name
from forensics.capture.masking import SECRET_SHIFT, secret_kind
from forensics.heap.graph import HeapGraph

_BY_NAME = (EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CLOSURE, EdgeKind.SLOT, EdgeKind.INTERNAL)
#: The values of these keys are kept in a masked capture too.
_KEPT_KEYS = ("TableName", "RequestId", "_name", "HTTPStatusCode")


class _Builder:
    def __init__(self, own_modules):
        self.references = References()
        self.own_modules = own_modules
        self.ids, self.objects, self.edges = {}, [], []
        self.strings, self.kept = {}, set()
        self.type_ids = {}

    def string(self, text):
        return self.strings.setdefault(text, len(self.strings))

    def add(self, obj):
        known = self.ids.get(id(obj))
        if known is None:
            known = self.ids[id(obj)] = len(self.objects)
            self.objects.append(obj)
        return known

    def references_of(self, obj):
        if isinstance(obj, type):
            if obj.__module__ not in self.own_modules:
                return []
            return [(EdgeKind.SLOT, "__dict__", namespace) for namespace in [dict(vars(obj))]]
        edges = self.references.of(obj, type(obj))
        skip = ("__globals__", "f_globals", "f_builtins", "f_back")
        if isinstance(obj, types.ModuleType):
            return edges if obj.__name__ in self.own_modules else []
        return [edge for edge in edges if edge[1] not in skip]

    def walk(self):
        position = 0
        keep_alive = []
        while position < len(self.objects):
            obj = self.objects[position]
            own = []
            for kind, label, target in self.references_of(obj):
                keep_alive.append(target)
                if kind in _BY_NAME:
                    label = self.string(label) if isinstance(label, str) else -1
                elif kind == EdgeKind.KEY:
                    if isinstance(label, str):
                        self.kept.add(id(label))
                        if label in _KEPT_KEYS:
                            self.kept.add(id(target))
                    label = self.add(label)
                if isinstance(obj, types.CodeType) and isinstance(target, tuple):
                    nested = [inner for each in target if isinstance(each, tuple) for inner in each]
                    self.kept.update(id(each) for each in (*target, *nested))
                own.append((self.add(target), label, int(kind)))
            self.edges.append(own)
            position += 1
        return keep_alive


def heap(values_kept=False, **namespaces):
    """A HeapGraph with one module for each keyword; the value is the module's namespace."""
    modules = {}
    for name, namespace in namespaces.items():
        module = types.ModuleType(name.replace("__", "."))
        vars(module).clear()
        vars(module).update(namespace, __name__=name.replace("__", "."))
        modules[module.__name__] = module
    builder = _Builder(set(modules))
    builder.add(modules)
    keep_alive = builder.walk()
    graph = _graph(builder, values_kept)
    del keep_alive
    return graph


def _class_of(value):
    """Of the class that masking leaves of a value, the kind of secret that it looks like."""
    known = type(value) is str and 8 <= len(value) <= 120
    return secret_kind(value.encode(errors="replace")) << SECRET_SHIFT if known else 0


def _graph(builder, values_kept):
    objects, edges = builder.objects, builder.edges
    offsets = np.concatenate(([0], np.cumsum([len(own) for own in edges]))).astype(np.int64)
    flat = np.array([edge for own in edges for edge in own] or np.zeros((0, 3)), np.int64).reshape(-1, 3)
    type_ids = [builder.type_ids.setdefault(type_name(type(obj)), len(builder.type_ids)) for obj in objects]
    texts = [
        builder.string(obj) if type(obj) is str and (values_kept or id(obj) in builder.kept) else -1
        for obj in objects
    ]
    root_name = builder.string("sys.modules")
    code = [(i, obj) for i, obj in enumerate(objects) if isinstance(obj, types.CodeType)]
    sized = (str, bytes, list, dict, tuple, set, frozenset)
    lengths = np.array([len(obj) if isinstance(obj, sized) else 0 for obj in objects], np.int64)
    return HeapGraph(
        offsets=offsets,
        targets=flat[:, 0].astype(np.int32),
        shallow_sizes=np.array(
            [0 if isinstance(o, type) else type(o).__sizeof__(o) for o in objects], np.int64
        ),
        root_objects=np.zeros(1, np.int32),
        kinds=flat[:, 2].astype(np.uint8),
        labels=flat[:, 1].astype(np.int32),
        addresses=np.array([id(obj) for obj in objects], np.uint64),
        types=np.array(type_ids, np.int32),
        flags=np.ones(len(objects), np.uint16),
        lengths=lengths,
        capacities=lengths.astype(np.int32),
        texts=np.array(texts, np.int32),
        value_hashes=np.array(
            [
                hash((str(type(o)), o)) & (2**63 - 1) if isinstance(o, (str, bytes, Decimal)) else 0
                for o in objects
            ],
            np.uint64,
        ),
        value_classes=np.array([_class_of(each) for each in objects], np.uint16),
        type_names=pa.array(list(builder.type_ids), pa.large_string()),
        strings=pa.array(list(builder.strings), pa.large_string()),
        root_kinds=np.array([RootKind.MODULES], np.uint8),
        root_names=np.array([root_name], np.int32),
        frames=pa.table(
            {
                "object": pa.array([], pa.int32()),
                "thread_id": pa.array([], pa.uint64()),
                "thread_name": pa.array([], pa.string()),
                "depth": pa.array([], pa.int32()),
                "function": pa.array([], pa.string()),
                "file": pa.array([], pa.string()),
                "line": pa.array([], pa.int32()),
            }
        ),
        code=pa.table(
            {
                "object": pa.array([i for i, _ in code], pa.int32()),
                "qualname": pa.array([c.co_qualname for _, c in code], pa.string()),
                "file": pa.array([c.co_filename for _, c in code], pa.string()),
                "first_line": pa.array([c.co_firstlineno for _, c in code], pa.int32()),
            }
        ),
        meta={"runtime": "python", "values": "masked", "time": 0.0},
    )


# -- DynamoDB's shapes, made as botocore makes them: one str object per key name and response


def _fresh(name):
    return name.encode().decode()


def metadata():
    names = {name: _fresh(name) for name in ("RequestId", "HTTPStatusCode", "HTTPHeaders", "RetryAttempts")}
    return {
        names["RequestId"]: _fresh("R1"),
        names["HTTPStatusCode"]: 200,
        names["HTTPHeaders"]: {_fresh("x-amz-crc32"): _fresh("17"), _fresh("server"): _fresh("Server")},
        names["RetryAttempts"]: 0,
    }


def low_level_items(count):
    names = {
        name: _fresh(name)
        for name in ("order_id", "customer", "total", "address", "tags", "S", "N", "M", "SS")
    }
    return [
        {
            names["order_id"]: {names["S"]: _fresh(f"ORDER-{i}")},
            names["customer"]: {names["S"]: _fresh(f"CUSTOMER-{i}")},
            names["total"]: {names["N"]: _fresh(str(i))},
            names["address"]: {names["M"]: {_fresh("street"): {names["S"]: _fresh(f"{i} High St")}}},
            names["tags"]: {names["SS"]: [_fresh("a"), _fresh("b")]},
        }
        for i in range(count)
    ]


def resource_items(count):
    names = {name: _fresh(name) for name in ("order_id", "customer", "total", "tags")}
    return [
        {
            names["order_id"]: _fresh(f"ORDER-{i}"),
            names["customer"]: _fresh(f"CUSTOMER-{i}"),
            names["total"]: Decimal(i) / 7,
            names["tags"]: {_fresh("a"), _fresh("b")},
        }
        for i in range(count)
    ]


def query_response(count, items=low_level_items, token=False):
    response = {"Items": items(count), "Count": count, "ScannedCount": count, "ResponseMetadata": metadata()}
    if token:
        response["LastEvaluatedKey"] = {"order_id": {"S": _fresh(f"ORDER-{count}")}}
    return response
