"""What in a heap of V8 is DynamoDB's, by the shapes of the AWS SDK v3 for JavaScript.

Every response, item and wrapper is a plain ``Object``. A response is one whose ``$metadata`` has a ``requestId``
(``deserializerMiddleware`` of @smithy/core); low-level attribute values are objects of one property named by their
type descriptor; what the document client made has plain values and is known below a response, elsewhere by the
tracer's tag or by the attribute names seen there, and failing these by how it was made: lib-dynamodb fills an empty
object property by property, so that from the fifth on they lie in an array of their own, which no object literal and
no parsed JSON has.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.agent.stream import EdgeKind
from forensics.dynamodb import kernels_node
from forensics.dynamodb.vocabulary import Kind
from forensics.heap.compiled import frozen
from forensics.heap.graph import HeapGraph

_DESCRIPTORS = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M")
_METADATA = ("requestId", "httpStatusCode", "attempts", "totalRetryDelay", "httpHeaders")
_OF_RESPONSES = (
    *("Items", "Item", "LastEvaluatedKey", "Responses", "UnprocessedKeys", "UnprocessedItems", "Attributes"),
    *(
        "ItemCollectionMetrics",
        "ConsumedCapacity",
        "Count",
        "ScannedCount",
        "Table",
        "TableNames",
        "NextToken",
    ),
)
_OF_REQUESTS = (
    *("KeyConditionExpression", "ExpressionAttributeValues", "ExpressionAttributeNames", "FilterExpression"),
    *("ProjectionExpression", "ExclusiveStartKey", "Key", "IndexName"),
)
_WORDS = (
    *_DESCRIPTORS, *_METADATA, *_OF_RESPONSES, *_OF_REQUESTS, "$metadata", "TableName", "RequestItems",
    "config", "middlewareStack", "freeSockets", "pjsonPath", "UseFIPS",
)  # fmt: skip
_BIT = {word: np.uint64(1) << np.uint64(k) for k, word in enumerate(dict.fromkeys(_WORDS))}
_PLACE = {word: k for k, word in enumerate(dict.fromkeys(_WORDS))}
_CLIENTS = ("DynamoDBClient", "DynamoDB", "DynamoDBDocumentClient", "DynamoDBDocument")
_TEXTS = ("(string)", "(concatenated string)", "(sliced string)")
_BINARIES = ("Uint8Array", "Buffer")
_SLAB = 8192
#: What a tracer's tag is called, see ``forensics/tracing.cjs``.
_TAG = "ForensicsTag"
_DOCUMENT_CLIENTS = ("DynamoDBDocumentClient", "DynamoDBDocument")
#: Values that may stand in any object of data, and those that headers and options lack.
_PLAIN_VALUES = (*_TEXTS, "system / Oddball")
_RICH_VALUES = ("(number)", "(bigint)", "Object", "Array", "Set", "NumberValue", *_BINARIES)
_OVERFLOW = "system / PropertyArray"
#: Made in the same way by Node (what it knows of a package) and by the SDK (parameters of an endpoint).
_NO_ATTRIBUTES = ("pjsonPath", "UseFIPS")
#: So many objects of one shape are a population and no options.
_POPULATION = 3
#: Entries of ``objects.REASONS``.
_SLICE, _TAGGED, _ONE_BY_ONE = 22, 23, 24
(
    _BY_METADATA,
    _NO_SIGN,
    _ITS_METADATA,
    _IN_RESPONSE,
    _DESCRIBED,
    _NAMES,
    _LIST,
    _ONE,
    _TYPE,
    _TOKEN,
    _REQUEST,
) = (*(19, 2, 3, 4, 20, 9, 11, 21, 13, 14, 15),)


def _mask(*words: str) -> np.uint64:
    return np.bitwise_or.reduce(np.array([_BIT[word] for word in words], np.uint64))


class NodeRecogniser:
    """One pass over one graph; leaves ``kind_of``, ``confidence``, ``reasons``, ``operations`` and ``names``."""

    def __init__(self, graph: HeapGraph) -> None:
        self.graph = graph
        n = len(graph)
        self.kind_of = np.zeros(n, np.uint8)
        self.confidence = np.zeros(n, np.float32)
        self.reasons = np.zeros(n, np.uint8)
        self.operations = np.zeros(n, np.uint8)
        self.names: tuple[str, ...] = ()
        self._arrays = tuple(
            map(frozen, (graph.offsets, graph.targets, graph.kinds, graph.labels, graph.texts))
        )
        words = pc.index_in(graph.strings, value_set=pa.array(list(_PLACE), graph.strings.type))
        word_of = pc.fill_null(words, -1).to_numpy(zero_copy_only=False).astype(np.int8)
        self.words = frozen(word_of if len(word_of) else np.full(1, -1, np.int8))
        self.masks, self.counts = kernels_node.masks(*self._arrays, self.words)
        self.plain = self.of_types("Object")

    def of_types(self, *names: str) -> np.ndarray:
        """bool[n]."""
        wanted = [k for k, name in enumerate(self.graph.type_names.to_pylist()) if name in names]
        return np.isin(self.graph.types, wanted)

    def run(self) -> None:
        """Recognise."""
        self._clients()
        self._values_and_items()
        self._responses()
        self._tagged()
        self._named()
        self._set_one_by_one()
        self._lists()
        self._tokens_and_requests()
        self._slices()

    def child(self, objects: np.ndarray, word: str) -> np.ndarray:
        """int32[…]: the values of that property, of those objects that have it."""
        found = kernels_node.children(
            *self._arrays, self.words, frozen(objects.astype(np.int32)), _PLACE[word]
        )
        return found[found >= 0]

    def mark(self, objects: np.ndarray, kind: Kind, sure: float, reason: int, *, over: bool = False) -> None:
        """Note ``objects`` (ids or a mask) unless they are known already and ``over`` is False."""
        ids = np.flatnonzero(objects) if objects.dtype == np.bool_ else objects
        if not over:
            ids = ids[self.kind_of[ids] == 0]
        self.kind_of[ids], self.confidence[ids], self.reasons[ids] = kind, sure, reason

    def has(self, *words: str) -> np.ndarray:
        """bool[n]: objects that have all these properties."""
        wanted = _mask(*words)
        return (self.masks & wanted) == wanted

    def _clients(self) -> None:
        # A class's prototype bears its name too, but has no configuration of its own.
        self.mark(self.of_types(*_CLIENTS) & self.has("config", "middlewareStack"), Kind.CLIENT, 0.98, _TYPE)
        agents = self.of_types("Agent") & self.has("freeSockets")
        self.mark(agents, Kind.HTTP_SESSION, 0.9, _TYPE)

    def _values_and_items(self) -> None:
        classes = np.zeros(len(self.graph.type_names), np.uint8)
        for names, number in ((_TEXTS, 1), (_BINARIES, 2), (("Array",), 3), (("Object",), 4)):
            for k, name in enumerate(self.graph.type_names.to_pylist()):
                if name in names:
                    classes[k] = number
        value_class = frozen(classes[self.graph.types])
        plain = frozen(self.plain)
        self.is_value = kernels_node.attribute_values(
            *self._arrays, self.words, frozen(self.counts), plain, value_class
        )
        colon = pc.fill_null(pc.starts_with(self.graph.strings, ":"), False).to_numpy(zero_copy_only=False)
        colons = frozen(colon if len(colon) else np.zeros(1, np.bool_))
        found = kernels_node.items(*self._arrays, self.words, plain, frozen(self.is_value), colons)
        self.mark(self.is_value, Kind.ATTRIBUTE_VALUE, 0.9, _ONE)
        self.mark(found == 1, Kind.ITEM, 0.95, _DESCRIBED)
        self.mark(found == 2, Kind.ATTRIBUTE_VALUE, 0.9, _ONE)
        self.mark(found == 3, Kind.REQUEST, 0.9, _REQUEST)
        binary = self.child(np.flatnonzero(self.is_value), "B")
        self.mark(binary, Kind.BINARY, 0.9, _ONE)

    def _responses(self) -> None:
        candidates = np.flatnonzero(self.has("$metadata") & self.plain)
        metadata = kernels_node.children(
            *self._arrays, self.words, frozen(candidates.astype(np.int32)), _PLACE["$metadata"]
        )
        good = (metadata >= 0) & ((self.masks[metadata] & _mask(*_METADATA)) != 0)
        candidates, metadata = candidates[good], metadata[good]
        masks = self.masks[candidates]
        ours = (masks & _mask(*_OF_RESPONSES)) != 0
        foreign = self.counts[candidates] > np.bitwise_count(masks)
        sure = ours & ~foreign
        self.mark(candidates[sure], Kind.RESPONSE, 0.98, _BY_METADATA, over=True)
        self.mark(candidates[~sure], Kind.RESPONSE, 0.5, _NO_SIGN, over=True)
        self.operations[candidates] = self._operations(candidates)
        self.mark(metadata, Kind.METADATA, 0.98, _ITS_METADATA, over=True)
        responses = candidates[sure]
        items = self.child(responses, "Items")
        by_table = self.child(responses, "Responses")
        arrays = self.of_types("Array")
        below = _contained(self.graph, by_table[~arrays[by_table]])
        self.mark(items, Kind.ITEMS, 0.98, _IN_RESPONSE, over=True)
        self.mark(below[arrays[below]], Kind.ITEMS, 0.98, _IN_RESPONSE, over=True)
        listed = _contained(self.graph, by_table[arrays[by_table]])
        elements = _contained(self.graph, np.flatnonzero(self.kind_of == Kind.ITEMS))
        elements = np.concatenate(
            [
                elements,
                self.child(responses, "Item"),
                self.child(responses, "Attributes"),
                self.child(listed, "Item"),
            ]
        )
        elements = np.unique(elements[self.plain[elements]])
        described = self.kind_of[elements] == Kind.ITEM
        self.confidence[elements[described]] = 0.99
        self.mark(elements[~described], Kind.RESOURCE_ITEM, 0.98, _IN_RESPONSE, over=True)

    def _operations(self, responses: np.ndarray) -> np.ndarray:
        masks = self.masks[responses]

        def has(*words: str) -> np.ndarray:
            return (masks & _mask(*words)) != 0

        names = np.select(
            [
                has("UnprocessedKeys"), has("Responses"), has("UnprocessedItems"), has("Items", "ScannedCount"),
                has("Item"), has("Attributes", "ItemCollectionMetrics"), has("Table"), has("TableNames"),
            ],
            [3, 3, 6, 1, 2, 7, 9, 10],
            0,
        )  # fmt: skip
        return names.astype(np.uint8)

    def _tagged(self) -> None:
        """What leads to a tag of the tracer, by the WeakMap whose key it is."""
        tags = self.of_types(_TAG)
        if not tags.any():
            return
        known = frozen(tags)
        arrays, plain = self.of_types("Array"), self.plain & (self.kind_of == 0)
        leading = kernels_node.leading_to(self.graph.offsets, self.graph.targets, self.graph.kinds, known)
        self.mark(leading & plain, Kind.RESOURCE_ITEM, 0.99, _TAGGED)
        self.mark(leading & arrays, Kind.ITEMS, 0.99, _TAGGED)

    def _set_one_by_one(self) -> None:
        """Items of the document client that are alone in the heap: no response, no other item tells their names."""
        graph = self.graph
        if not (self.of_types(*_DOCUMENT_CLIENTS) & self.has("middlewareStack")).any():
            return
        slots = graph.slot_labels()
        overflow, shapes = slots.get("properties"), slots.get("map")
        if overflow is None or shapes is None:
            return
        values = np.zeros(len(graph.type_names), np.uint8)
        for k, name in enumerate(graph.type_names.to_pylist()):
            values[k] = 1 if name in _PLAIN_VALUES else 2 if name in _RICH_VALUES else 0
        shape = kernels_node.made_one_by_one(
            *self._arrays[:4],
            frozen(self.plain & (self.kind_of == 0) & ((self.masks & _mask(*_NO_ATTRIBUTES)) == 0)),
            frozen(values[graph.types]),
            frozen(self.of_types(_OVERFLOW)),
            np.asarray(overflow, np.int32),
            np.asarray(shapes, np.int32),
        )
        alike = np.flatnonzero(shape >= 0)
        of_shape = np.bincount(shape[alike], minlength=len(graph))
        alike = alike[of_shape[shape[alike]] >= _POPULATION]
        # A map within an item is made in the same way; it is a value.
        inner = _contained(graph, alike)
        lists = inner[self.of_types("Array")[inner]]
        inside = np.union1d(inner, _contained(graph, lists))
        self.mark(np.setdiff1d(alike, inside), Kind.RESOURCE_ITEM, 0.6, _ONE_BY_ONE)

    def _named(self) -> None:
        """Objects elsewhere whose properties bear the names of item attributes."""
        items = np.flatnonzero(np.isin(self.kind_of, [Kind.ITEM, Kind.RESOURCE_ITEM]))
        strings = self.graph.strings
        known = kernels_node.names(*self._arrays, frozen(items.astype(np.int32)), max(1, len(strings)))
        lengths = pc.fill_null(pc.utf8_length(strings), 0).to_numpy(zero_copy_only=False)
        if len(strings):
            known &= lengths >= 2
        texts = strings.take(pa.array(np.flatnonzero(known))).to_pylist() if known.any() else []
        self.names = tuple(sorted({text for text in texts if text}))
        seen, every = kernels_node.shares(*self._arrays, frozen(known))
        share = seen / np.maximum(every, 1)
        instances = ~np.isin(self.graph.types, self._system_types())
        alike = self.plain & (every >= 3) & (share >= 0.8) & ~self._boilerplates()
        self.mark(alike, Kind.RESOURCE_ITEM, 0.8, _NAMES)
        self.mark(instances & (every >= 3) & (share >= 0.6), Kind.COPY, 0.6, _NAMES)

    def _boilerplates(self) -> np.ndarray:
        """bool[n]: what V8 copies when the program runs an object literal; nobody's data."""
        graph = self.graph
        wanted = graph.slot_labels().get("transition_info")
        found = np.zeros(len(graph), np.bool_)
        if wanted is not None:
            sites = (graph.kinds == EdgeKind.SLOT) & np.isin(graph.labels, wanted)
            found[graph.targets[sites]] = True
        return found

    def _system_types(self) -> list[int]:
        names = self.graph.type_names.to_pylist()
        return [
            k for k, name in enumerate(names) if name.startswith(("(", "system", "Node ")) or " / " in name
        ]

    def _lists(self) -> None:
        arrays = np.flatnonzero(self.of_types("Array") & (self.graph.lengths > 0))
        is_item = np.isin(self.kind_of, [Kind.ITEM, Kind.RESOURCE_ITEM])
        counts = kernels_node.counted(*self._arrays, frozen(arrays.astype(np.int32)), frozen(is_item))
        self.mark(arrays[(counts > 0) & (2 * counts >= self.graph.lengths[arrays])], Kind.ITEMS, 0.85, _LIST)

    def _tokens_and_requests(self) -> None:
        holders = np.flatnonzero(self.masks & _mask("LastEvaluatedKey", "ExclusiveStartKey"))
        tokens = np.concatenate(
            [self.child(holders, "LastEvaluatedKey"), self.child(holders, "ExclusiveStartKey")]
        )
        self.mark(tokens[self.plain[tokens]], Kind.TOKEN, 0.95, _TOKEN, over=True)
        request = self.has("TableName") & ((self.masks & _mask(*_OF_REQUESTS)) != 0)
        self.mark((request | self.has("RequestItems")) & self.plain, Kind.REQUEST, 0.85, _REQUEST)

    def _slices(self) -> None:
        """Binaries that are views of a slab: what the SDK decodes from base64 is cut from Node's pool."""
        views = np.flatnonzero(self.of_types(*_BINARIES)).astype(np.int32)
        self.mark(views[slab_of(self.graph, views) >= 0], Kind.BINARY, 0.6, _SLICE)


def slab_of(graph: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """int32[…]: the ArrayBuffer behind each binary if that is one of Node's slabs of 8192 bytes, else -1."""
    found = np.full(len(objects), -1, np.int32)
    for k, i in enumerate(objects.tolist()):
        for edge in graph.edges_of(i):
            if edge.label_text == "buffer" and _backing(graph, edge.target) == _SLAB:
                found[k] = edge.target
                break
    return found


def _backing(graph: HeapGraph, buffer: int) -> int:
    """Bytes of memory behind an ArrayBuffer."""
    names = ("backing_store", "buffer", "data")
    return sum(
        int(graph.shallow_sizes[edge.target]) for edge in graph.edges_of(buffer) if edge.label_text in names
    )


def _contained(graph: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """int32[…]: the elements of arrays and the values of properties of ``objects``."""
    found = [np.empty(0, np.int32)]
    for i in objects.tolist():
        here = slice(int(graph.offsets[i]), int(graph.offsets[i + 1]))
        wanted = np.isin(graph.kinds[here], (EdgeKind.ITEM, EdgeKind.ATTRIBUTE, EdgeKind.KEY))
        found.append(graph.targets[here][wanted])
    return np.concatenate(found)
