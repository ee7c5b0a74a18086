"""Recognise what in a heap is DynamoDB's, by the recogniser of the runtime that the heap was taken of."""

from __future__ import annotations

import numpy as np

from forensics.dynamodb.objects import OPERATIONS, DynamoObjects
from forensics.dynamodb.recognise_python import PythonRecogniser
from forensics.heap.graph import HeapGraph

__all__ = ["OPERATIONS", "DynamoObjects", "recognise"]

_STORED = "forensics.dynamodb.recognise"


def recognise(graph: HeapGraph) -> DynamoObjects:
    """Recognise every DynamoDB object of ``graph``; the answer is kept with the graph."""
    if _STORED not in graph._memo:
        node = graph.meta.get("runtime") == "node"
        graph._memo[_STORED] = _recognise_node(graph) if node else PythonRecogniser(graph).run()
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
