"""What in a heap is DynamoDB's: responses, items, tokens, clients, and how sure that is.

Rests on dict keys, type names, attribute names and the identity of key strings, none of which masking hides.
Python's shapes are those of ``botocore.parsers`` and ``boto3.dynamodb.types``; whole-array work throughout.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from forensics.agent.stream import EdgeKind
from forensics.dynamodb import kernels
from forensics.dynamodb.vocabulary import BIT, TYPE_PATTERNS, WORDS, Kind, mask_of
from forensics.heap.graph import HeapGraph

#: Why an object was recognised; ``DynamoObjects.reasons`` indexes this.
REASONS: tuple[str, ...] = (
    "",
    "a dict with ResponseMetadata, whose keys are those of a DynamoDB response",
    "a dict with ResponseMetadata of an AWS service, with no sign that it is DynamoDB",
    "the ResponseMetadata of a response",
    "the Items (or Item, Responses, Attributes) of a response",
    "every value is a dict with one type descriptor (S, N, B, …)",
    "Decimal or Binary values under key strings that other items share",
    "Decimal or Binary values",
    "plain values under the attribute names of items seen in this heap, with shared key strings",
    "plain values under the attribute names of items seen in this heap",
    "an object whose attributes bear the names of item attributes seen in this heap",
    "a list whose elements are items",
    "one type descriptor and a value of its type",
    "the type's name",
    "the value of LastEvaluatedKey or ExclusiveStartKey",
    "request parameters: TableName beside other parameters of a DynamoDB call",
    "a stream record: eventID beside dynamodb",
    "the content of an HTTP response",
    "plain values under key strings that come from a document and are shared by several dicts",
    "an object with $metadata, whose properties are those of a DynamoDB response",
    "every value is an object with one type descriptor (S, N, B, …)",
    "one property, named by a type descriptor, and a value of its type",
)

#: Operations that the keys of a response can tell; ``DynamoObjects.operations`` indexes this.
OPERATIONS: tuple[str, ...] = (
    "",
    "Query or Scan",
    "GetItem",
    "BatchGetItem",
    "TransactGetItems",
    "ExecuteStatement",
    "BatchWriteItem",
    "PutItem, UpdateItem or DeleteItem",
    "GetRecords",
    "DescribeTable",
    "ListTables",
    "BatchExecuteStatement",
)

_STORED = "forensics.dynamodb.recognise"


@dataclass(frozen=True, eq=False)
class DynamoObjects:
    """The DynamoDB objects of one graph, in columns; one row for each object, sorted by object id.

    Attributes
    ----------
    objects : int32[k], object ids
    kinds : uint8[k], ``Kind``
    confidence : float32[k], 0…1
    reasons : uint8[k], index into ``REASONS``
    operations : uint8[k], index into ``OPERATIONS``, 0 where the object does not tell
    kind_of : uint8[n], ``Kind`` of every object of the graph
    attribute_names : the names seen as attributes of items, sorted
    """

    objects: np.ndarray
    kinds: np.ndarray
    confidence: np.ndarray
    reasons: np.ndarray
    operations: np.ndarray
    kind_of: np.ndarray
    attribute_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.objects)

    def of(self, *kinds: Kind) -> np.ndarray:
        """int32[…]: the ids of the objects of these kinds, ascending."""
        return self.objects[np.isin(self.kinds, [int(kind) for kind in kinds])]

    def confidence_of(self, ids: np.ndarray) -> np.ndarray:
        """float32[len(ids)]: how sure the recognition of each is; 0 for what is not DynamoDB's."""
        return self._column(self.confidence, ids, 0.0)

    def operation_of(self, ids: np.ndarray) -> np.ndarray:
        """uint8[len(ids)]: index into ``OPERATIONS``."""
        return self._column(self.operations, ids, 0)

    def reason_of(self, object_id: int) -> str:
        """Why this object was recognised; empty where it was not."""
        return REASONS[int(self._column(self.reasons, np.array([object_id]), 0)[0])]

    def _column(self, column: np.ndarray, ids: np.ndarray, missing: float) -> np.ndarray:
        if not len(self.objects):
            return np.full(len(ids), missing, column.dtype)
        at = np.minimum(np.searchsorted(self.objects, ids), len(self.objects) - 1)
        return np.where(self.objects[at] == ids, column[at], column.dtype.type(missing))

    def counts(self) -> dict[Kind, int]:
        """How many objects of each kind, most numerous first."""
        values, counts = np.unique(self.kinds, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {Kind(int(values[k])): int(counts[k]) for k in order}

    def to_pandas(self) -> pd.DataFrame:
        """One row for each object: object, kind, confidence, operation, reason."""
        return pd.DataFrame(
            {
                "object": self.objects,
                "kind": _names([kind.name.lower() for kind in Kind], self.kinds),
                "confidence": self.confidence,
                "operation": _names(OPERATIONS, self.operations),
                "reason": _names(REASONS, self.reasons),
            }
        )

    def _summary(self) -> list[tuple[str, int, float]]:
        return [
            (kind.name.lower().replace("_", " "), count, float(self.confidence[self.kinds == kind].mean()))
            for kind, count in self.counts().items()
        ]

    def __str__(self) -> str:
        rows = [f"{name:<18} {count:>10,}  sure {sure:.2f}" for name, count, sure in self._summary()]
        return "\n".join(rows) or "no DynamoDB objects"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{count:,}</td><td>{sure:.2f}</td></tr>"
            for name, count, sure in self._summary()
        )
        return f"<table><tr><th>kind</th><th>objects</th><th>sure</th></tr>{rows}</table>"


def _names(names: Any, codes: np.ndarray) -> pd.Categorical:
    return pd.Categorical.from_codes(codes.astype(np.int64), categories=pd.Index(names))


def recognise(graph: HeapGraph) -> DynamoObjects:
    """Recognise every DynamoDB object of ``graph``; the answer is kept with the graph."""
    if _STORED not in graph._memo:
        node = graph.meta.get("runtime") == "node"
        graph._memo[_STORED] = _recognise_node(graph) if node else _Recogniser(graph).run()
    return graph._memo[_STORED]


def _recognise_node(graph: HeapGraph) -> DynamoObjects:
    from forensics.dynamodb.recognise_node import NodeRecogniser

    seen = NodeRecogniser(graph)
    seen.run()
    objects = np.flatnonzero(seen.kind_of).astype(np.int32)
    return DynamoObjects(
        objects,
        seen.kind_of[objects],
        seen.confidence[objects],
        seen.reasons[objects],
        seen.operations[objects],
        seen.kind_of,
        seen.names,
    )


def value_classes_of_types(type_names: list[str]) -> np.ndarray:
    """uint8[types]: the class of value (``kernels.STR`` …) for each type name."""
    classes = {
        "str": kernels.STR,
        "bytes": kernels.BYTES,
        "bytearray": kernels.BYTES,
        "bool": kernels.BOOL,
        "NoneType": kernels.NONE,
        "list": kernels.LIST,
        "collections.deque": kernels.LIST,
        "dict": kernels.DICT,
        "collections.OrderedDict": kernels.DICT,
        "collections.defaultdict": kernels.DICT,
        "set": kernels.SET,
        "tuple": kernels.TUPLE,
        "decimal.Decimal": kernels.DECIMAL,
        "_pydecimal.Decimal": kernels.DECIMAL,
        "boto3.dynamodb.types.Binary": kernels.BINARY,
        "int": kernels.INT,
        "float": kernels.FLOAT,
    }
    short = [name.removeprefix("builtins.") for name in type_names]
    return np.array([classes.get(name, kernels.OTHER) for name in short] or [0], np.uint8)


class _Recogniser:
    """One pass over one graph; the arrays that the steps share."""

    def __init__(self, graph: HeapGraph) -> None:
        self.graph = graph
        self.type_names: list[str] = graph.type_names.to_pylist()
        n = len(graph.shallow_sizes)
        self.kind_of = np.zeros(n, np.uint8)
        self.confidence = np.zeros(n, np.float32)
        self.reasons = np.zeros(n, np.uint8)
        self.operations = np.zeros(n, np.uint8)
        self.value_class = (
            value_classes_of_types(self.type_names)[graph.types] if n else np.zeros(0, np.uint8)
        )
        strings = graph.strings
        self.canonical = _canonical(strings)
        self.masks, self.counts, self.words = kernels.key_words(
            graph.offsets, graph.kinds, graph.labels, graph.texts, _known_words(strings)
        )

    def run(self) -> DynamoObjects:
        self.sdk_types()
        self.attribute_values_and_items()
        self.responses()
        self.stream_records()
        self.attribute_names = self.names_of_items()
        self.resource_items()
        self.converted_objects()
        self.lists_of_items()
        self.tokens_and_requests()
        self.raw_bodies()
        objects = np.flatnonzero(self.kind_of).astype(np.int32)
        names = np.flatnonzero(self.attribute_names)
        texts = self.graph.strings.take(pa.array(names)).to_pylist() if len(names) else []
        return DynamoObjects(
            objects,
            self.kind_of[objects],
            self.confidence[objects],
            self.reasons[objects],
            self.operations[objects],
            self.kind_of,
            tuple(sorted({text for text in texts if text})),
        )

    def mark(
        self, objects: np.ndarray, kind: Kind, confidence: float, reason: int, *, over: bool = False
    ) -> None:
        """Note ``objects`` (ids, or a bool mask) unless they are known already and ``over`` is False."""
        ids = np.flatnonzero(objects) if objects.dtype == np.bool_ else objects
        if not over:
            ids = ids[self.kind_of[ids] == 0]
        self.kind_of[ids] = kind
        self.confidence[ids] = confidence
        self.reasons[ids] = reason

    def child(self, objects: np.ndarray, word: str) -> np.ndarray:
        """int32[…]: the values below the key ``word`` of ``objects``, those that have it."""
        graph = self.graph
        found = kernels.children_by_word(
            graph.offsets, graph.targets, self.words, objects.astype(np.int64), BIT[word]
        )
        return found[found >= 0]

    def has(self, *words: str) -> np.ndarray:
        """bool[n]: objects that have all these keys."""
        wanted = np.uint64(mask_of(*words))
        return (self.masks & wanted) == wanted

    # -- the steps ----------------------------------------------------------------------------------

    def sdk_types(self) -> None:
        kind_of_type = np.zeros(max(1, len(self.type_names)), np.uint8)
        for number, name in enumerate(self.type_names):
            for pattern, kind in TYPE_PATTERNS:
                if pattern.fullmatch(name):
                    kind_of_type[number] = kind
                    break
        if not len(self.kind_of):
            return
        kinds = kind_of_type[self.graph.types]
        for kind in np.unique(kinds[kinds > 0]):
            self.mark(kinds == kind, Kind(int(kind)), 0.98, 13)
        self.mark(self.value_class == kernels.DECIMAL, Kind.DECIMAL, 0.3, 13)

    def attribute_values_and_items(self) -> None:
        graph = self.graph
        descriptor_class = np.array(
            [
                *(kernels.STR, kernels.STR, kernels.BYTES, kernels.BOOL, kernels.BOOL),
                *(kernels.LIST, kernels.LIST, kernels.LIST, kernels.LIST, kernels.DICT),
            ],
            np.uint8,
        )
        self.is_value = kernels.attribute_values(
            graph.offsets,
            graph.targets,
            graph.kinds,
            self.words,
            self.counts,
            self.value_class,
            descriptor_class,
        )
        self.mark(self.is_value, Kind.ATTRIBUTE_VALUE, 0.9, 12)
        colon = pc.fill_null(pc.starts_with(graph.strings, ":"), False).to_numpy(zero_copy_only=False)
        found = kernels.low_level_items(
            graph.offsets,
            graph.targets,
            graph.kinds,
            graph.labels,
            graph.texts,
            self.words,
            self.value_class,
            self.is_value,
            _at_least_one(colon, np.bool_),
        )
        self.mark(found == 1, Kind.ITEM, 0.95, 5)
        self.mark(found == 2, Kind.ATTRIBUTE_VALUE, 0.9, 12)
        self.mark(found == 3, Kind.REQUEST, 0.9, 15)
        binaries = self.child(np.flatnonzero(self.is_value), "B")
        self.mark(binaries, Kind.BINARY, 0.9, 12)

    def responses(self) -> None:
        candidates = np.flatnonzero(self.has("ResponseMetadata") & (self.value_class == kernels.DICT))
        metadata = kernels.children_by_word(
            self.graph.offsets, self.graph.targets, self.words, candidates, BIT["ResponseMetadata"]
        )
        shape = np.uint64(mask_of("RequestId", "HTTPStatusCode", "HTTPHeaders", "RetryAttempts"))
        good = (metadata >= 0) & ((self.masks[metadata] & shape) != 0)
        candidates, metadata = candidates[good], metadata[good]
        operations = self.operations_by_keys(candidates)
        # A dict with keys beyond DynamoDB's own belongs to another service.
        foreign = self.counts[candidates] > np.bitwise_count(self.masks[candidates])
        headers = kernels.children_by_word(
            self.graph.offsets, self.graph.targets, self.words, metadata.astype(np.int64), BIT["HTTPHeaders"]
        )
        crc = (headers >= 0) & ((self.masks[headers] & np.uint64(mask_of("x-amz-crc32"))) != 0)
        sure = ((operations > 0) & ~foreign) | crc
        self.mark(candidates[sure], Kind.RESPONSE, 0.98, 1, over=True)
        self.mark(candidates[~sure], Kind.RESPONSE, 0.4, 2, over=True)
        self.confidence[candidates[sure & ~crc]] = 0.9
        self.operations[candidates] = operations
        self.mark(metadata, Kind.METADATA, 0.98, 3, over=True)
        ours = candidates[sure]
        self.inside_responses(ours)

    def inside_responses(self, responses: np.ndarray) -> None:
        """The Items, Item, Attributes and Responses of responses are items whatever they look like."""
        graph = self.graph
        items = self.child(responses, "Items")
        self.mark(items, Kind.ITEMS, 0.98, 4, over=True)
        single = np.concatenate([self.child(responses, "Item"), self.child(responses, "Attributes")])
        by_table = self.child(responses, "Responses")
        tables = by_table[self.value_class[by_table] == kernels.DICT]
        below = _targets(graph, tables, EdgeKind.KEY)
        self.mark(below[self.value_class[below] == kernels.LIST], Kind.ITEMS, 0.98, 4, over=True)
        transact = _targets(graph, by_table[self.value_class[by_table] == kernels.LIST], EdgeKind.ITEM)
        single = np.concatenate([single, self.child(transact, "Item")])
        elements = _targets(graph, np.flatnonzero(self.kind_of == Kind.ITEMS), EdgeKind.ITEM)
        elements = np.concatenate([elements, single])
        elements = elements[self.value_class[elements] == kernels.DICT]
        plain = elements[self.kind_of[elements] != Kind.ITEM]
        self.mark(plain[self.counts[plain] > 0], Kind.RESOURCE_ITEM, 0.98, 4, over=True)
        low_level = elements[self.kind_of[elements] == Kind.ITEM]
        self.confidence[low_level] = 0.99

    def stream_records(self) -> None:
        """Records of a table's stream; their images are items already."""
        records = np.flatnonzero(self.has("eventID", "dynamodb") & (self.value_class == kernels.DICT))
        self.mark(records, Kind.STREAM_RECORD, 0.95, 16, over=True)
        # What lies beside the images (sequence number, size, time) looks like an item of a document table.
        changes = self.child(records, "dynamodb")
        self.mark(changes, Kind.METADATA, 0.95, 16, over=True)

    def operations_by_keys(self, responses: np.ndarray) -> np.ndarray:
        """uint8[len(responses)]: index into ``OPERATIONS`` from the keys alone."""
        masks = self.masks[responses]

        def has(*words: str) -> np.ndarray:
            return (masks & np.uint64(mask_of(*words))) != 0

        by_table = kernels.children_by_word(
            self.graph.offsets, self.graph.targets, self.words, responses.astype(np.int64), BIT["Responses"]
        )
        listed = (by_table >= 0) & (self.value_class[by_table] == kernels.LIST)
        only_metadata = (masks & ~np.uint64(mask_of("ResponseMetadata", "ConsumedCapacity"))) == 0
        names = np.select(
            [
                has("ScannedCount"),
                has("UnprocessedKeys"),
                has("Responses") & listed,
                has("Responses"),
                has("Records", "NextShardIterator") & ~has("Items"),
                has("UnprocessedItems"),
                has("Items"),
                has("Item"),
                has("Attributes", "ItemCollectionMetrics"),
                has("Table"),
                has("TableNames"),
                only_metadata & (self.counts[responses] <= 2),
            ],
            [1, 3, 4, 3, 8, 6, 5, 2, 7, 9, 10, 7],
            0,
        )
        return names.astype(np.uint8)

    def names_of_items(self) -> np.ndarray:
        """bool[strings]: texts that are keys of items seen so far, of two characters or more."""
        graph = self.graph
        items = np.flatnonzero(np.isin(self.kind_of, [Kind.ITEM, Kind.RESOURCE_ITEM]))
        known = np.zeros(max(1, len(graph.strings)), np.bool_)
        if len(items):
            keys = _labels(graph, items, EdgeKind.KEY)
            texts = graph.texts[keys[(keys >= 0) & (keys < len(graph.texts))]]
            known[np.unique(self.canonical[texts[texts >= 0]])] = True
            known = known[self.canonical]
            lengths = pc.fill_null(pc.utf8_length(graph.strings), 0).to_numpy(zero_copy_only=False)
            known &= lengths >= 2
        return known

    def resource_items(self) -> None:
        graph = self.graph
        names = [name in ("code", "tuple") for name in self.type_names]
        is_code = np.array(names or [False], np.bool_)[graph.types]
        uses, literal = kernels.key_objects(
            graph.offsets, graph.targets, graph.kinds, graph.labels, self.value_class, is_code
        )
        facts, known = kernels.plain_dicts(
            graph.offsets,
            graph.targets,
            graph.kinds,
            graph.labels,
            self.value_class,
            uses,
            literal,
            graph.texts,
            self.attribute_names,
        )
        clean, strong = (facts & 1) > 0, (facts & 2) > 0
        shared, literals = (facts & 4) > 0, (facts & 8) > 0
        large = self.counts >= 2
        document = shared & ~literals
        self.mark(clean & strong & document & large, Kind.RESOURCE_ITEM, 0.85, 6)
        self.mark(clean & strong & large & ~literals, Kind.RESOURCE_ITEM, 0.7, 7)
        self.mark(clean & (known >= 0.8) & document & large, Kind.RESOURCE_ITEM, 0.8, 8)
        self.mark((known >= 0.6) & (self.counts >= 3), Kind.COPY, 0.6, 9)
        self.mark(strong & literals & large, Kind.COPY, 0.5, 7)
        weak = clean & document & (self.counts >= 3) & (self.value_class == kernels.DICT)
        self.weak = weak & (self.kind_of == 0)

    def converted_objects(self) -> None:
        """Instances (pydantic, dataclass, plain class) whose attributes bear the names of item attributes."""
        graph = self.graph
        attributes, names = kernels.instances(
            graph.offsets, graph.labels, graph.kinds, self.attribute_names, int(EdgeKind.ATTRIBUTE)
        )
        ours = (names >= 2) & (names >= 0.6 * attributes) & (self.value_class == kernels.OTHER)
        self.mark(ours, Kind.COPY, 0.65, 10)

    def lists_of_items(self) -> None:
        graph = self.graph
        is_item = np.isin(self.kind_of, [Kind.ITEM, Kind.RESOURCE_ITEM])
        found = kernels.item_lists(graph.offsets, graph.targets, graph.kinds, self.value_class, is_item)
        self.mark((found > 0) & (self.value_class == kernels.LIST), Kind.ITEMS, 0.85, 11)
        # A list of several document dicts that share their key strings: JSON of some kind, perhaps items.
        found = kernels.item_lists(graph.offsets, graph.targets, graph.kinds, self.value_class, self.weak)
        lists = np.flatnonzero((found >= 2) & (self.value_class == kernels.LIST))
        elements = _targets(graph, lists, EdgeKind.ITEM)
        self.mark(elements[self.weak[elements]], Kind.RESOURCE_ITEM, 0.45, 18)
        self.mark(lists, Kind.ITEMS, 0.45, 11)

    def tokens_and_requests(self) -> None:
        graph = self.graph
        holders = np.flatnonzero(self.masks & np.uint64(mask_of("LastEvaluatedKey", "ExclusiveStartKey")))
        tokens = np.concatenate(
            [self.child(holders, "LastEvaluatedKey"), self.child(holders, "ExclusiveStartKey")]
        )
        named = pc.fill_null(
            pc.match_substring_regex(
                graph.strings, r"^_?(last_?evaluated_?key|exclusive_?start_?key)s?$", ignore_case=True
            ),
            False,
        ).to_numpy(zero_copy_only=False)
        by_name = np.isin(graph.kinds, [EdgeKind.ATTRIBUTE, EdgeKind.LOCAL, EdgeKind.CLOSURE]) & (
            graph.labels >= 0
        )
        by_name[by_name] = _at_least_one(named, np.bool_)[graph.labels[by_name]]
        tokens = np.concatenate([tokens, graph.targets[by_name]])
        tokens = tokens[self.value_class[tokens] == kernels.DICT]
        self.mark(tokens, Kind.TOKEN, 0.95, 14, over=True)
        parameters = mask_of(
            *(
                "KeyConditionExpression",
                "FilterExpression",
                "ProjectionExpression",
                "ExpressionAttributeNames",
            ),
            *("ExpressionAttributeValues", "ExclusiveStartKey", "Key", "Item", "IndexName", "ConsistentRead"),
            *("UpdateExpression", "ConditionExpression", "Limit"),
        )
        request = self.has("TableName") & ((self.masks & np.uint64(parameters)) != 0)
        request |= self.has("RequestItems") | self.has("TransactItems")
        self.mark(request & (self.value_class == kernels.DICT), Kind.REQUEST, 0.85, 15)

    def raw_bodies(self) -> None:
        """The bytes below ``_content`` (botocore) or ``_body`` (aiohttp) of a raw response."""
        graph = self.graph
        raw = np.flatnonzero(self.kind_of == Kind.RAW_BODY)
        below = _targets(graph, raw, EdgeKind.ATTRIBUTE)
        large = (self.value_class[below] == kernels.BYTES) & (graph.lengths[below] > 0)
        self.mark(below[large], Kind.RAW_BODY, 0.9, 17)


def _known_words(strings: pa.Array) -> np.ndarray:
    """int8[max(1, strings)]: the position in ``WORDS``, -1 for all other texts."""
    position = pc.index_in(strings, value_set=pa.array(WORDS, strings.type))
    return _at_least_one(pc.fill_null(position, -1).to_numpy(zero_copy_only=False), np.int8, -1)


def _canonical(strings: pa.Array) -> np.ndarray:
    """int32[max(1, strings)]: the first index that bears the same text."""
    if not len(strings):
        return np.zeros(1, np.int32)
    encoded = strings.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
    first = np.full(codes.max(initial=0) + 1, len(codes), np.int64)
    np.minimum.at(first, codes, np.arange(len(codes)))
    return first[codes].astype(np.int32)


def _at_least_one(values: np.ndarray, dtype: Any, fill: int = 0) -> np.ndarray:
    return values.astype(dtype) if len(values) else np.full(1, fill, dtype)


def _spans(graph: HeapGraph, objects: np.ndarray) -> np.ndarray:
    """The indices of all references of ``objects``, in order."""
    starts = graph.offsets[objects]
    counts = graph.offsets[objects + 1] - starts
    if not counts.sum():
        return np.zeros(0, np.int64)
    begins = np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    return begins + np.arange(counts.sum())


def _targets(graph: HeapGraph, objects: np.ndarray, kind: EdgeKind) -> np.ndarray:
    """int32[…]: what ``objects`` refer to by references of one kind."""
    edges = _spans(graph, objects.astype(np.int64))
    return graph.targets[edges[graph.kinds[edges] == kind]]


def _labels(graph: HeapGraph, objects: np.ndarray, kind: EdgeKind) -> np.ndarray:
    edges = _spans(graph, objects.astype(np.int64))
    return graph.labels[edges[graph.kinds[edges] == kind]]
