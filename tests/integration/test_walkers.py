"""What a walker sees of a live process, against what gc, objgraph, pympler and sys.getsizeof say in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forensics as fx
from forensics.agent.stream import EdgeKind, RootKind
from forensics.agent.walking import native_walker
from forensics.heap import HeapGraph

PROGRAM = Path(__file__).parent / "programs" / "known_heap.py"
WALKERS = ["python", *(["native"] if native_walker() is not None else [])]


@dataclass
class Known:
    """A captured known heap: the graph, and what the process said of itself."""

    graph: HeapGraph
    said: dict[str, Any]

    def at(self, address: int) -> int:
        return int(np.flatnonzero(self.graph.addresses == address)[0])

    def named(self, source: int, label: str) -> int:
        """The target of the one reference of ``source`` that is called ``label``."""
        found = {int(edge.target) for edge in self.graph.edges_of(source) if edge.label_text == label}
        assert len(found) == 1, (label, [edge.label_text for edge in self.graph.edges_of(source)])
        return found.pop()

    def variable(self, name: str) -> int:
        """A variable of ``__main__``."""
        modules = int(self.graph.root_objects[self.graph.root_kinds == RootKind.MODULES][0])
        module = self.graph.children_by_key(modules)["__main__"]
        return self.graph.children_by_key(self.named(module, "__dict__"))[name]


@pytest.fixture(scope="module", params=WALKERS)
def known(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    with subprocess.Popen([sys.executable, str(PROGRAM)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            folder = tmp_path_factory.mktemp("known") / "capture"
            fx.capture(process.pid, to=folder, walker=request.param)
            yield Known(fx.open(folder).snapshots[0], said)
            assert process.poll() is None
        finally:
            process.kill()


def test_everything_a_dict_of_responses_holds_is_there_and_nothing_else(known: Known) -> None:
    graph, closure = known.graph, known.said["closure"]
    reached, stack = set(), [known.at(known.said["responses"])]
    while stack:
        each = stack.pop()
        if each in reached or graph.type_name(each) == "type":
            continue
        reached.add(each)
        stack.extend(int(edge.target) for edge in graph.edges_of(each))
    assert {str(graph.addresses[each]) for each in reached} == set(closure)


def test_types_and_sizes_are_those_the_interpreter_tells(known: Known) -> None:
    graph = known.graph
    index = {int(address): i for i, address in enumerate(graph.addresses)}
    for address, (type_name, size) in known.said["closure"].items():
        each = index[int(address)]
        assert (graph.type_name(each), int(graph.shallow_sizes[each])) == (type_name, size)


def test_the_sum_is_pymplers(known: Known) -> None:
    graph = known.graph
    index = {int(address): i for i, address in enumerate(graph.addresses)}
    # pympler rounds each object up to a multiple of eight, as the allocator does.
    total = sum(
        -(-int(graph.shallow_sizes[index[int(address)]]) // 8) * 8 for address in known.said["closure"]
    )
    assert total == pytest.approx(known.said["asizeof"], rel=0.01)


def test_counts_are_objgraphs(known: Known) -> None:
    for name, count in known.said["tracked"].items():
        assert known.graph.objects_of_type(f"__main__.{name}").size == count, name


def test_values_of_customers_are_masked_and_keys_are_not(known: Known) -> None:
    graph = known.graph
    texts = {graph.strings[int(i)].as_py() for i in graph.texts if i >= 0}
    assert {"k3", "Items", "pk", "S", "RequestId", "R3"} <= texts
    assert not any("USER#1" in text for text in texts)


def test_attributes_slots_and_real_dicts_are_named(known: Known) -> None:
    graph = known.graph
    repo = known.named(known.variable("REPOS"), "3")
    assert known.graph.type_name(known.named(repo, "page")) == "dict"
    assert graph.type_name(known.named(known.variable("SLOTTED"), "token")) == "list"
    opened = known.named(known.variable("OPENED"), "__dict__")
    assert int(graph.addresses[opened]) == known.said["opened_dict"]
    assert {"number", "page", "late"} <= set(graph.children_by_key(opened))


def test_closures_generators_caches_and_queues_are_named(known: Known) -> None:
    graph = known.graph
    cell = known.named(known.variable("FLUSH"), "page")
    assert graph.children_by_key(known.named(cell, "cell_contents")).keys() == {"page"}
    assert graph.type_name(known.named(known.variable("PAGES"), "held")) == "list"
    cache = known.named(known.variable("cached"), "cache")
    assert graph.type_name(cache) == "dict" and int(graph.lengths[cache]) == 1
    assert graph.type_name(known.named(known.variable("QUEUE"), "0")) == "list"
    assert {edge.kind for edge in graph.edges_of(known.variable("SETS"))} == {EdgeKind.MEMBER}


def test_an_exception_leads_to_the_frame_that_it_keeps(known: Known) -> None:
    trace = known.named(known.variable("ERROR"), "__traceback__")
    frames = [known.named(trace, "tb_frame")]
    while "tb_next" in {edge.label_text for edge in known.graph.edges_of(trace)}:
        trace = known.named(trace, "tb_next")
        frames.append(known.named(trace, "tb_frame"))
    assert known.graph.children_by_key(known.named(frames[-1], "frame_local")).keys() == {"held"}


def test_running_frames_are_roots_with_their_locals(known: Known) -> None:
    frames = known.graph.frames.to_pandas()
    row = frames[frames["function"] == "worker"].iloc[0]
    assert row["thread_name"] == "worker" and row["file"].endswith("known_heap.py") and row["line"] > 0
    assert known.graph.type_name(known.named(int(row["object"]), "worker_items")) == "list"
    assert int(row["object"]) in known.graph.root_objects.tolist()


def test_the_agents_own_threads_are_no_part_of_the_service(known: Known) -> None:
    # Besides the thread that asked there are one that listens and one that waits for the capture to end.
    frames = known.graph.frames.to_pandas()
    assert "worker" in set(frames["thread_name"])
    assert not [name for name in frames["thread_name"] if str(name).startswith("forensics-agent")]
    assert not frames["file"].str.contains("forensics_agent").any()


def test_a_suspended_coroutine_names_its_locals(known: Known) -> None:
    graph = known.graph
    coroutines = [
        each for each in graph.objects_of_type("coroutine")
        if "local_item" in {edge.label_text for edge in graph.edges_of(int(each))}
    ]  # fmt: skip
    assert len(coroutines) == 1
    assert graph.reachable()[coroutines[0]]


def test_cyclic_garbage_is_seen_and_is_not_reachable(known: Known) -> None:
    lost = known.at(known.said["garbage"])
    assert not known.graph.reachable()[lost]
    assert known.graph.reachable()[known.variable("CYCLE")]


def test_what_only_native_code_reaches_is_alive(known: Known) -> None:
    """A thread-local's values hang on the thread state."""
    graph = known.graph
    alive = graph.reachable()
    local = [
        each for each in graph.objects_of_type("dict")
        if alive[each] and set(graph.children_by_key(int(each))) == {"page"} and graph.lengths[each] == 1
    ]  # fmt: skip
    # The closure's dict, and LOCAL.page, which a fork takes from the Python walker's sight as it says.
    assert len(local) == (2 if graph.meta["walker"] == "native" else 1)


def test_no_reference_dangles(known: Known) -> None:
    assert known.graph.meta["dangling"] <= 5
