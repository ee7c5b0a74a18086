"""The object graph: what points at what, who dominates whom, and which paths lead there."""

from forensics.heap.graph import Edge, EdgeKind, HeapGraph, ObjectFlag, RootKind

__all__ = ["Edge", "EdgeKind", "HeapGraph", "ObjectFlag", "RootKind"]
