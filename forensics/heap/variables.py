"""Global variables: which modules refer to an object by name, and which of them defines it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from forensics.agent.stream import EdgeKind

from .names import slot_target

if TYPE_CHECKING:
    from .graph import HeapGraph

_ORIGIN_RANK = {"application": 0, "library": 1, "stdlib": 2, "agent": 3}


@dataclass(frozen=True, eq=False)
class Variables:
    """Every name in every module's namespace.

    Attributes
    ----------
    objects : int32, ascending: what the names refer to
    namespaces, references : int32, int64: the namespace dict and the reference in it
    """

    objects: np.ndarray
    namespaces: np.ndarray
    references: np.ndarray
    _graph: HeapGraph
    _imports: dict[int, frozenset[int]] = field(default_factory=dict)
    _homes: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: HeapGraph) -> Variables:
        """Collect them; as many as there are names in modules, not as many as there are objects."""
        spaces = np.array(sorted(graph.modules().namespaces), np.int32)
        ranges = [np.arange(graph.offsets[s], graph.offsets[s + 1]) for s in spaces.tolist()]
        edges = np.concatenate(ranges) if ranges else np.empty(0, np.int64)
        owners = np.repeat(spaces, [len(r) for r in ranges]) if ranges else np.empty(0, np.int32)
        named = graph.kinds[edges] == EdgeKind.KEY
        edges, owners = edges[named], owners[named]
        order = np.argsort(graph.targets[edges], kind="stable")
        return cls(graph.targets[edges][order], owners[order], edges[order], graph)

    @cached_property
    def _module_keys(self) -> np.ndarray:
        """The texts "__module__" of the heap: one, where they are interned."""
        spelled = [k for k, text in enumerate(self._graph.strings.to_pylist()) if text == "__module__"]
        return np.flatnonzero(np.isin(self._graph.texts, spelled)).astype(np.int32)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        names = self._graph.modules().names
        return {name: module for module, name in reversed(names.items())}

    def best(self, i: int) -> tuple[int, int, int] | None:
        """(module, namespace dict, reference) of the name that defines object *i*; None where it has no name.

        The program's own modules come first, those of this package's agent last; a function or class belongs where
        its code was compiled; and a module that imports from the others that also know the object has most likely
        imported this too.
        """
        begin, end = np.searchsorted(self.objects, [i, i + 1])
        if begin == end:
            return None
        modules = self._graph.modules()
        found = [
            (modules.namespaces[space], space, reference)
            for space, reference in zip(
                self.namespaces[begin:end].tolist(), self.references[begin:end].tolist(), strict=True
            )
        ]
        if len(found) == 1:
            return found[0]
        home = self.home(i)
        rivals = {module for module, _, _ in found}

        def rank(candidate: tuple[int, int, int]) -> tuple[int, int, int, bool, int, str]:
            module, space, reference = candidate
            name = modules.names[module]
            return (
                _ORIGIN_RANK[modules.origins[module]],
                space != home,
                len(self.imports(module) & rivals),
                self._graph.label_text(reference).startswith("_"),
                name.count("."),
                name,
            )

        return min(found, key=rank)

    def home(self, i: int) -> int:
        """The namespace dict of the module that a function or class was compiled in; or -1.

        A class says so itself where that text was kept, else its methods do.
        """
        if i not in self._homes:
            self._homes[i] = self._home(i)
        return self._homes[i]

    def _home(self, i: int) -> int:
        graph = self._graph
        space = slot_target(graph, i, "__globals__")
        if space >= 0:
            return space
        members = slot_target(graph, i, "__dict__") if slot_target(graph, i, "__mro__") >= 0 else -1
        if members < 0:
            return -1
        keys, targets = self._entries(members)
        named = targets[np.isin(keys, self._module_keys)]
        text = graph.text(int(named[0])) if len(named) else None
        if text and text in self._by_name:
            return slot_target(graph, self._by_name[text], "__dict__")
        spaces = (slot_target(graph, each, "__globals__") for each in targets.tolist())
        return next((space for space in spaces if space >= 0), -1)

    def imports(self, module: int) -> frozenset[int]:
        """The other modules that it has names from: modules themselves, and homes of its functions and classes."""
        if module not in self._imports:
            modules = self._graph.modules()
            space = slot_target(self._graph, module, "__dict__")
            found = set()
            for named in np.unique(self._entries(space)[1]).tolist() if space >= 0 else ():
                known = named if named in modules.names else modules.namespaces.get(self.home(named))
                if known is not None:
                    found.add(known)
            self._imports[module] = frozenset(found - {module})
        return self._imports[module]

    def _entries(self, mapping: int) -> tuple[np.ndarray, np.ndarray]:
        """int32, int32: the keys and the values of a dict, as far as the keys are text."""
        graph = self._graph
        here = slice(int(graph.offsets[mapping]), int(graph.offsets[mapping + 1]))
        keyed = graph.kinds[here] == EdgeKind.KEY
        return graph.labels[here][keyed], graph.targets[here][keyed]
