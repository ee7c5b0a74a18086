"""Holders: the containers whose population makes up the heap, one for each variable, co-holders as a set."""

import time

import numpy as np
import pytest
from heapbuilder import heap, query_response

from forensics.agent.stream import RootKind
from forensics.heap import EdgeKind, HeapGraph
from forensics.heap.holders import Holders

from .drawn import drawn

RESPONSE = "dict{Items, Count, ScannedCount, ResponseMetadata}"


class Service:
    def __init__(self):
        self.trail = []


Service.__module__ = "orders.api"


def pages(count, items=5):
    return [query_response(items) for _ in range(count)]


def test_each_container_is_found_with_its_elements_shape_and_bytes():
    service = Service()
    service.trail.extend(pages(100))
    graph = heap(
        orders__api={
            "CACHE": {f"k{i}": page for i, page in enumerate(pages(300))},
            "SERVICE": service,
            "BLOB": b"x" * 1_000_000,
        }
    )
    found = {h.path: h for h in graph.holders()}
    assert list(found) == ["orders.api.CACHE", "orders.api.BLOB", "orders.api.SERVICE.trail"]
    cache = found["orders.api.CACHE"]
    assert (cache.element_count, cache.element_shape) == (300, RESPONSE)
    assert cache.retained_bytes == graph.retained_sizes()[graph.find("orders.api.CACHE")]
    assert cache.share == pytest.approx(cache.retained_bytes / graph.shallow_sizes.sum())
    assert found["orders.api.SERVICE.trail"].retainer.kind == "attribute"
    assert found["orders.api.BLOB"].element_count == 0


def test_containers_that_share_their_elements_are_named_together():
    shared = pages(200)
    service = Service()
    service.trail.extend(shared)
    graph = heap(orders__api={"CACHE": {f"k{i}": p for i, p in enumerate(shared)}, "SERVICE": service})
    (holder,) = graph.holders(min_share=0.05)
    assert holder.path == "orders.api.CACHE"
    assert holder.also_held_by == ("orders.api.SERVICE.trail",)
    assert holder.element_count == 200 and holder.element_shape == RESPONSE
    assert holder.retained_bytes == graph.retained_size_of(holder.objects)
    assert graph.retained_sizes()[holder.object] < holder.retained_bytes / 10


def test_a_table_by_name_is_one_holder_whose_elements_are_counted_below():
    graph = heap(orders__api={"BY_TABLE": {"Orders": pages(300, 1), "Customers": pages(200, 1)}})
    (holder,) = graph.holders()
    assert (holder.path, holder.element_count, holder.element_shape) == ("orders.api.BY_TABLE", 500, RESPONSE)


def test_a_few_large_responses_are_counted_as_responses():
    graph = heap(orders__api={"RECENT": pages(10, 12)})
    (holder,) = graph.holders()
    assert (holder.path, holder.element_count, holder.element_shape) == ("orders.api.RECENT", 10, RESPONSE)


def test_a_linked_list_is_one_holder():
    #  HEAD -> node -> node -> …: no node has much, and the list has everything
    n = 20_000
    offsets = np.concatenate([[0, 1], 1 + np.minimum(np.arange(1, n + 1), n - 1)])
    graph = HeapGraph.from_arrays(
        offsets, np.arange(1, n + 1), np.full(n + 1, 64), [0],
        kinds=np.full(n, EdgeKind.ATTRIBUTE), labels=np.zeros(n, int), strings=["next"],
        types=[0] + [1] * n, type_names=["orders.Chain", "orders.Node"],
    )  # fmt: skip
    (holder,) = graph.holders()
    assert holder.element_count == n and holder.element_shape == "orders.Node"
    assert holder.retained_bytes >= 64 * n


def test_garbage_is_a_holder_by_the_class_of_its_cycles():
    picture = " ".join(f"a{i}->b{i} b{i}->a{i} b{i}->c{i}" for i in range(50))
    graph, _ = drawn(f"r {picture}", sizes={f"c{i}": 100 for i in range(50)})
    (holder,) = [h for h in graph.holders() if h.retainer.kind == "unreachable-cycle"]
    assert holder.element_count == 50 and holder.retained_bytes == 50 * 102


def test_a_local_of_a_running_frame():
    import pyarrow as pa

    # frame -local-> list -> 100 x 1 kB
    n = 102
    graph = HeapGraph.from_arrays(
        [0, 1, 101, *[101] * 100], [1, *range(2, n)], [0, 856, *[1000] * 100], [0],
        kinds=[EdgeKind.LOCAL] + [EdgeKind.ITEM] * 100, labels=[0, *range(100)], strings=["pages"],
        types=[0, 1, *[2] * 100], type_names=["frame", "list", "bytes"], root_kinds=[RootKind.FRAME],
        frames=pa.table(
            {"object": pa.array([0], pa.int32()), "thread_id": pa.array([7], pa.uint64()),
             "thread_name": ["Thread-3"], "depth": pa.array([0], pa.int32()), "function": ["fetch_all"],
             "file": ["orders/db.py"], "line": pa.array([41], pa.int32())}
        ),
    )  # fmt: skip
    (holder,) = graph.holders()
    assert holder.path == "Thread-3 · fetch_all() local pages"
    assert holder.retainer.kind == "frame-local" and holder.element_count == 100
    assert graph.paths_to_roots(5)[0].expression == "Thread-3 · fetch_all() local pages[3]"


def test_a_list_of_a_million_makes_no_million_objects_here():
    import tracemalloc

    n = 1_000_000
    offsets = np.concatenate([[0, n], np.full(n, n)])
    kinds, labels = np.full(n, EdgeKind.ITEM, np.uint8), np.arange(n, dtype=np.int32)
    graph = HeapGraph.from_arrays(
        offsets, np.arange(1, n + 1), np.full(n + 1, 56), [0],
        kinds=kinds, labels=labels, types=np.minimum(np.arange(n + 1), 1), type_names=["list", "int"],
    )  # fmt: skip

    def ask_everything():
        graph.holders(), graph.census(), graph.census("shape"), graph.paths_to_roots(n), graph.waste()
        next(graph.edges_of(0)), graph.preview(0), graph.merged_paths([1, n]), graph.what_if((0, 5))

    ask_everything()  # compiles, and imports what is imported late
    graph.forget()
    tracemalloc.start()
    ask_everything()
    blocks = sum(stat.count for stat in tracemalloc.take_snapshot().statistics("filename"))
    tracemalloc.stop()
    assert blocks < 20_000, f"{blocks:,} blocks allocated by Python objects are alive"


def test_holders_survive_as_json():
    graph = heap(orders__api={"CACHE": {f"k{i}": page for i, page in enumerate(pages(30))}})
    found = graph.holders()
    assert Holders.from_dict(found.to_dict()) == found
    assert list(found.to_pandas()["path"]) == [h.path for h in found]


def test_what_a_capture_brought_in_is_no_holder_of_the_services():
    rows = [{"n": n, "text": f"{n:040}"} for n in range(300)]
    graph = heap(_forensics_agent__tracing={"ROWS": rows}, orders__api={"CACHE": dict(enumerate(rows[:150]))})
    assert {holder.retainer.path for holder in graph.holders()} == {"orders.api.CACHE"}


def test_limits():
    graph = heap(orders__api={f"CACHE{i}": pages(20) for i in range(5)})
    assert len(graph.holders(limit=2)) == 2
    assert len(graph.holders(min_share=0.9)) == 0


def test_every_byte_is_told_once():
    """The shares of exclusive holders never add up to more than the heap, whatever the graph."""
    chance = np.random.default_rng(11)
    for _ in range(60):
        n = int(chance.integers(5, 300))
        edges = chance.integers(0, n, (n, 2))
        order = np.argsort(edges[:, 0], kind="stable")
        offsets = np.concatenate([[0], np.bincount(edges[:, 0], minlength=n).cumsum()])
        graph = HeapGraph.from_arrays(
            offsets, edges[order, 1], chance.integers(1, 1000, n), [0, 1], kinds=np.full(n, EdgeKind.ITEM)
        )
        found = graph.holders(limit=1000, min_share=0.001)
        assert all(0 < h.share <= 1 for h in found)


def test_finding_holders_does_not_take_longer_than_the_graph_warrants():
    """A list whose nodes' payloads also hang on one container: chains are not climbed for each payload."""
    from .drawn import linked_list_with_tail_container

    graph = linked_list_with_tail_container(100_000)
    begin = time.perf_counter()
    graph.holders()
    assert time.perf_counter() - begin < 20
