"""The DynamoDB objects of one heap, in columns: what each is, how sure that is, and why."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forensics.dynamodb.vocabulary import Kind

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
    "a binary that is a view of one of Node's slabs",
    "the tracer tagged it as part of a response",
    "plain values set one by one in several objects of one shape, as the document client makes items",
)

#: Operations that the keys of a response can tell; ``DynamoObjects.operations`` indexes this.
OPERATIONS: tuple[str, ...] = (
    "",
    "Query or Scan",
    "GetItem",
    "BatchGetItem",
    "TransactGetItems or ExecuteTransaction",
    "ExecuteStatement",
    "BatchWriteItem",
    "PutItem, UpdateItem or DeleteItem",
    "GetRecords",
    "DescribeTable",
    "ListTables",
    "BatchExecuteStatement",
    "PutItem, UpdateItem, DeleteItem, TransactWriteItems, ExecuteStatement or GetItem",
)


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
