"""What in a heap of CPython is DynamoDB's: responses, items, tokens, clients, and how sure that is.

Rests on dict keys, type names, attribute names and the identity of key strings, none of which masking hides.
Python's shapes are those of ``botocore.parsers`` and ``boto3.dynamodb.types``; whole-array work throughout.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forensics.agent.stream import EdgeKind
from forensics.dynamodb import kernels
from forensics.dynamodb.arrays import at_least_one, canonical, labels, positions_in, spans, targets
from forensics.dynamodb.objects import DynamoObjects
from forensics.dynamodb.vocabulary import BIT, TYPE_PATTERNS, WORDS, Kind, mask_of
from forensics.heap.graph import HeapGraph


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


class PythonRecogniser:
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
        self.canonical = canonical(strings)
        self.masks, self.counts, self.words = kernels.key_words(
            graph.offsets, graph.kinds, graph.labels, graph.texts, positions_in(WORDS, strings)
        )

    def run(self) -> DynamoObjects:
        """Take all steps, the surest first: what one has named the next leaves alone."""
        self._sdk_types()
        self._attribute_values_and_items()
        self._responses()
        self._stream_records()
        self.attribute_names = self._names_of_items()
        self._resource_items()
        self._converted_objects()
        self._lists_of_items()
        self._tokens_and_requests()
        self._raw_bodies()
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

    def _sdk_types(self) -> None:
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

    def _attribute_values_and_items(self) -> None:
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
            at_least_one(colon, np.bool_),
        )
        self.mark(found == 1, Kind.ITEM, 0.95, 5)
        self.mark(found == 2, Kind.ATTRIBUTE_VALUE, 0.9, 12)
        self.mark(found == 3, Kind.REQUEST, 0.9, 15)
        binaries = self.child(np.flatnonzero(self.is_value), "B")
        self.mark(binaries, Kind.BINARY, 0.9, 12)

    def _responses(self) -> None:
        candidates = np.flatnonzero(self.has("ResponseMetadata") & (self.value_class == kernels.DICT))
        metadata = kernels.children_by_word(
            self.graph.offsets, self.graph.targets, self.words, candidates, BIT["ResponseMetadata"]
        )
        shape = np.uint64(mask_of("RequestId", "HTTPStatusCode", "HTTPHeaders", "RetryAttempts"))
        good = (metadata >= 0) & ((self.masks[metadata] & shape) != 0)
        candidates, metadata = candidates[good], metadata[good]
        operations = self._operations_by_keys(candidates)
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
        self._inside_responses(ours)

    def _inside_responses(self, responses: np.ndarray) -> None:
        """The Items, Item, Attributes and Responses of responses are items whatever they look like."""
        graph = self.graph
        items = self.child(responses, "Items")
        self.mark(items, Kind.ITEMS, 0.98, 4, over=True)
        single = np.concatenate([self.child(responses, "Item"), self.child(responses, "Attributes")])
        by_table = self.child(responses, "Responses")
        tables = by_table[self.value_class[by_table] == kernels.DICT]
        below = targets(graph, tables, EdgeKind.KEY)
        self.mark(below[self.value_class[below] == kernels.LIST], Kind.ITEMS, 0.98, 4, over=True)
        transact = targets(graph, by_table[self.value_class[by_table] == kernels.LIST], EdgeKind.ITEM)
        single = np.concatenate([single, self.child(transact, "Item")])
        elements = targets(graph, np.flatnonzero(self.kind_of == Kind.ITEMS), EdgeKind.ITEM)
        elements = np.concatenate([elements, single])
        elements = elements[self.value_class[elements] == kernels.DICT]
        plain = elements[self.kind_of[elements] != Kind.ITEM]
        self.mark(plain[self.counts[plain] > 0], Kind.RESOURCE_ITEM, 0.98, 4, over=True)
        low_level = elements[self.kind_of[elements] == Kind.ITEM]
        self.confidence[low_level] = 0.99

    def _stream_records(self) -> None:
        """Records of a table's stream; their images are items already."""
        records = np.flatnonzero(self.has("eventID", "dynamodb") & (self.value_class == kernels.DICT))
        self.mark(records, Kind.STREAM_RECORD, 0.95, 16, over=True)
        # What lies beside the images (sequence number, size, time) looks like an item of a document table.
        changes = self.child(records, "dynamodb")
        self.mark(changes, Kind.METADATA, 0.95, 16, over=True)

    def _operations_by_keys(self, responses: np.ndarray) -> np.ndarray:
        """uint8[len(responses)]: index into ``OPERATIONS`` from the keys alone."""
        masks = self.masks[responses]

        def has(*words: str) -> np.ndarray:
            return (masks & np.uint64(mask_of(*words))) != 0

        by_table = kernels.children_by_word(
            self.graph.offsets, self.graph.targets, self.words, responses.astype(np.int64), BIT["Responses"]
        )
        listed = (by_table >= 0) & (self.value_class[by_table] == kernels.LIST)
        statements = np.zeros(len(responses), np.bool_)
        statements[listed] = self._name_a_table(by_table[listed])
        beside = mask_of("ResponseMetadata", "ConsumedCapacity", "ItemCollectionMetrics")
        nothing_else = (masks & ~np.uint64(beside)) == 0
        names = np.select(
            [
                has("ScannedCount"),
                has("UnprocessedKeys"),
                statements,
                has("Responses") & listed,
                has("Responses"),
                has("Records", "NextShardIterator") & ~has("Items"),
                has("UnprocessedItems"),
                has("Items"),
                has("Item"),
                has("Attributes"),
                has("Table"),
                has("TableNames"),
                # What a write answers, and a read of an item that there is not.
                nothing_else & (self.counts[responses] <= 3),
            ],
            [1, 3, 11, 4, 3, 8, 6, 5, 2, 7, 9, 10, 12],
            0,
        )
        return names.astype(np.uint8)

    def _name_a_table(self, lists: np.ndarray) -> np.ndarray:
        """bool[len(lists)]: an element names a table, as each answer of a batch of statements does."""
        graph = self.graph
        edges = spans(graph, lists)
        owners = np.repeat(np.arange(len(lists)), graph.offsets[lists + 1] - graph.offsets[lists])
        named = (self.masks[graph.targets[edges]] & np.uint64(mask_of("TableName", "Error"))) != 0
        return np.bincount(owners, named, len(lists)) > 0

    def _names_of_items(self) -> np.ndarray:
        """bool[strings]: texts that are keys of items seen so far, of two characters or more."""
        graph = self.graph
        items = np.flatnonzero(np.isin(self.kind_of, [Kind.ITEM, Kind.RESOURCE_ITEM]))
        known = np.zeros(max(1, len(graph.strings)), np.bool_)
        if len(items):
            keys = labels(graph, items, EdgeKind.KEY)
            texts = graph.texts[keys[(keys >= 0) & (keys < len(graph.texts))]]
            known[np.unique(self.canonical[texts[texts >= 0]])] = True
            known = known[self.canonical]
            lengths = pc.fill_null(pc.utf8_length(graph.strings), 0).to_numpy(zero_copy_only=False)
            known &= lengths >= 2
        return known

    def _resource_items(self) -> None:
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

    def _converted_objects(self) -> None:
        """Instances (dataclass, slotted, plain class) whose attributes bear the names of item attributes.

        The fields of a pydantic model lie in its ``__dict__``, which is a plain dict.
        """
        graph = self.graph
        special = pc.fill_null(pc.starts_with(graph.strings, "__"), False).to_numpy(zero_copy_only=False)
        attributes, names = kernels.instances(
            graph.offsets, graph.labels, graph.kinds, self.attribute_names, at_least_one(special, np.bool_)
        )
        ours = (names >= 2) & (names >= 0.6 * attributes) & (self.value_class == kernels.OTHER)
        self.mark(ours, Kind.COPY, 0.65, 10)

    def _lists_of_items(self) -> None:
        graph = self.graph
        is_item = np.isin(self.kind_of, [Kind.ITEM, Kind.RESOURCE_ITEM])
        found = kernels.item_lists(graph.offsets, graph.targets, graph.kinds, self.value_class, is_item)
        self.mark((found > 0) & (self.value_class == kernels.LIST), Kind.ITEMS, 0.85, 11)
        # A list of several document dicts that share their key strings: JSON of some kind, perhaps items.
        found = kernels.item_lists(graph.offsets, graph.targets, graph.kinds, self.value_class, self.weak)
        lists = np.flatnonzero((found >= 2) & (self.value_class == kernels.LIST))
        elements = targets(graph, lists, EdgeKind.ITEM)
        self.mark(elements[self.weak[elements]], Kind.RESOURCE_ITEM, 0.45, 18)
        self.mark(lists, Kind.ITEMS, 0.45, 11)

    def _tokens_and_requests(self) -> None:
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
        by_name[by_name] = at_least_one(named, np.bool_)[graph.labels[by_name]]
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

    def _raw_bodies(self) -> None:
        """The bytes below ``_content`` (botocore) or ``_body`` (aiohttp) of a raw response."""
        graph = self.graph
        raw = np.flatnonzero(self.kind_of == Kind.RAW_BODY)
        below = targets(graph, raw, EdgeKind.ATTRIBUTE)
        large = (self.value_class[below] == kernels.BYTES) & (graph.lengths[below] > 0)
        self.mark(below[large], Kind.RAW_BODY, 0.9, 17)
