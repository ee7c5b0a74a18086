"""A suspect: one place of the program that holds something, with all that the rules ask about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from forensics.dynamodb.code import Function
from forensics.dynamodb.places import Line
from forensics.dynamodb.provenance import Provenance
from forensics.dynamodb.vocabulary import Kind
from forensics.findings import GrowthShape


@dataclass(frozen=True, eq=False)
class Suspect:
    """One holder over all snapshots.

    Attributes
    ----------
    path, kind : the retainer, as ``forensics.heap`` names it
    container : the object that holds the elements in the last snapshot, -1 where there is none
    container_type : its type's name
    outer_type : the type of the container around the container, if there is one
    bounded : what bounds it, empty where nothing is known to
    members : int32[…], the DynamoDB objects that it holds in the last snapshot; empty for other growth
    dynamo_kind : what they are, NONE for other growth
    elements, sizes : per snapshot the number of elements and the bytes of what they hold
    shape : by elements
    retained_bytes : bytes freed if it let go of all of them, in the last snapshot
    on_path : type names from the elements up to the root
    counts : DynamoDB objects inside, by kind
    secrets, secrets_kept : kinds of secrets inside, with numbers, and for how many seconds the oldest is there
    users : the program's functions that touch it
    confidence : how sure the recognition is
    in_itself : it has one or two elements, the same ones as before, so that growth of bytes is theirs
    """

    path: str
    kind: str
    container: int
    container_type: str
    members: np.ndarray
    dynamo_kind: Kind
    elements: tuple[int, ...]
    sizes: tuple[int, ...]
    shape: GrowthShape
    retained_bytes: int
    objects_per_second: float | None = None
    bytes_per_second: float | None = None
    on_path: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    also_held_by: tuple[str, ...] = ()
    counts: dict[Kind, int] = field(default_factory=dict)
    secrets: dict[str, int] = field(default_factory=dict)
    secrets_kept: dict[str, float] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    definition: Line | None = None
    filling: tuple[Line, ...] = ()
    clearing: tuple[Line, ...] = ()
    confidence: float = 0.0
    element_shape: str = ""
    unreachable: bool = False
    users: tuple[Function, ...] = ()
    bounded: str = ""
    outer_type: str = ""
    in_itself: bool = False

    @property
    def is_dynamodb(self) -> bool:
        """Whether it holds DynamoDB data or objects of the SDK."""
        return self.dynamo_kind != Kind.NONE

    @property
    def growing(self) -> bool:
        """Whether it grew until the end of the capture."""
        return self.shape == "growing"

    @property
    def carried(self) -> bool:
        """Whether a context or a thread carries it: a task or waiting work that refers to it does not keep the data."""
        return self.kind in ("contextvar", "thread-local")

    def passes(self, *fragments: str) -> bool:
        """Whether a type on the way from the root has one of these fragments in its name."""
        return any(fragment in name for name in self.on_path for fragment in fragments)

    def holds(self, *kinds: Kind) -> int:
        """How many DynamoDB objects of these kinds are inside."""
        return sum(self.counts.get(kind, 0) for kind in kinds)
