"""The object graph: what points at what, who dominates whom, and which paths lead there."""

from forensics.heap.graph import HeapGraph

__all__ = ["HeapGraph"]
