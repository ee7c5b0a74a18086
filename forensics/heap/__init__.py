"""The object graph: what points at what, who dominates whom, and which paths lead there."""

from forensics.heap.diff import HeapDiff, HolderSeries, diff
from forensics.heap.graph import Edge, EdgeKind, HeapGraph, ObjectFlag, RootKind

__all__ = ["Edge", "EdgeKind", "HeapDiff", "HeapGraph", "HolderSeries", "ObjectFlag", "RootKind", "diff"]
