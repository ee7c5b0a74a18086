"""Path, Step and Place: one way from a root to an object, and the program's own variable on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from forensics.agent.stream import EdgeKind

from .edge import edge_at

if TYPE_CHECKING:
    import pandas as pd

    from .graph import HeapGraph

PlaceKind = Literal[
    "module-variable",
    "attribute",
    "class-attribute",
    "closure",
    "function-default",
    "frame-local",
    "cache",
    "task",
    "generator",
    "thread-local",
    "contextvar",
    "queue",
    "exception",
    "callback",
    "handler",
    "unreachable-cycle",
    "native",
]


@dataclass(frozen=True)
class Place:
    """The program's own variable that a person would edit: never the dict inside it.

    ``object`` is what the variable refers to, -1 where that is not one object (a group of garbage).
    """

    path: str
    kind: PlaceKind
    object: int

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Step:
    """One object on a path and how the one before refers to it; the first one is the root itself."""

    object: int
    kind: EdgeKind | None
    label: str
    type_name: str


@dataclass(frozen=True, eq=False)
class Path:
    """A way from a root to an object.

    Attributes
    ----------
    expression : as a person would write it, the interpreter's plumbing folded away
    full : the same with every reference written out
    root_kind : modules, builtins, sys, frame, thread, context, native, other, or unreachable
    retainer : the program's own variable on the way
    objects, references : int32[s + 1], int64[s], read-only: root first
    note : which variables on the way are captured and used by no living function; empty where none is
    """

    expression: str
    full: str
    root_kind: str
    retainer: Place
    objects: np.ndarray = field(repr=False)
    references: np.ndarray = field(repr=False)
    _graph: HeapGraph = field(repr=False)
    note: str = ""

    def __str__(self) -> str:
        return f"{self.expression}  ({self.note})" if self.note else self.expression

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def object(self) -> int:
        """The object at the end."""
        return int(self.objects[-1])

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every object on the way, root first, with how it is referred to: one Python object for each."""
        graph = self._graph
        first = int(self.objects[0])
        steps = [Step(first, None, "", graph.type_name(first))]
        for k, e in enumerate(self.references.tolist()):
            edge = edge_at(graph, e, int(self.objects[k]))
            steps.append(Step(edge.target, edge.kind, edge.label_text, graph.type_name(edge.target)))
        return tuple(steps)

    def to_pandas(self) -> pd.DataFrame:
        """One row for each object on the way: object, kind and label of the reference to it, type, bytes."""
        import pandas as pd

        graph = self._graph
        retained = graph.retained_sizes()
        return pd.DataFrame(
            [
                {
                    "object": step.object,
                    "kind": "" if step.kind is None else step.kind.name.lower(),
                    "label": step.label,
                    "type": step.type_name,
                    "shallow_size": int(graph.shallow_sizes[step.object]),
                    "retained_size": int(retained[step.object]),
                }
                for step in self.steps
            ]
        )

    def _repr_html_(self) -> str:
        from .show import path_html

        return path_html(self)
