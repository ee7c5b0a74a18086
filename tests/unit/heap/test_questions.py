"""Census, shapes, waste, what-if, merged paths: each against what plain Python says of the same objects."""

import sys
from collections import Counter

import pytest
from heapbuilder import heap, query_response
from hypothesis import given, settings
from hypothesis import strategies as st

from forensics.heap import EdgeKind, HeapGraph

from .drawn import drawn, from_edges


def pages(count):
    return [query_response(3) for _ in range(count)]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 12), st.data())
def test_census_counts_what_goes_with_all_of_a_type(n, data):
    edges = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3 * n))
    types = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    graph = from_edges(n, edges, [0], list(range(1, n + 1)), types=types, type_names=["a", "b", "c"])
    rows = {row.name: row for row in graph.census()}
    assert {name: row.objects for name, row in rows.items()} == Counter("abc"[t] for t in types)
    retained = graph.retained_sizes()
    for name, row in rows.items():
        members = [i for i in range(n) if "abc"[types[i]] == name]
        assert row.shallow_bytes == sum(i + 1 for i in members)
        alive = [i for i in members if graph.reachable()[i]]
        outermost = [i for i in alive if not set(graph.dominator_tree().chain(i)) & set(members)]
        assert row.retained_bytes == sum(int(retained[i]) for i in outermost)
        assert set(row.examples) <= set(outermost)


def test_census_by_shape_tells_dicts_by_their_keys():
    graph = heap(orders__api={"A": pages(20)})
    rows = {row.name: row.objects for row in graph.census("shape")}
    assert rows["dict{Items, Count, ScannedCount, ResponseMetadata}"] == 20
    assert rows["dict{order_id, customer, total, address, tags}"] == 60
    assert rows["dict{S}"] == 60 * 3
    assert sum(rows.values()) == len(graph)


def test_the_order_of_keys_does_not_matter_and_a_table_is_no_record():
    table = {f"k{i}": i for i in range(100)}
    graph = heap(orders__api={"A": [{"x": 1, "y": 2}, {"y": 3, "x": 4}], "T": [dict(table), dict(table)]})
    rows = {row.name: row.objects for row in graph.census("shape")}
    assert rows["dict{x, y}"] == 2
    assert not any("k0" in name for name in rows)


def test_equal_strings_and_repeated_keys():
    words = [f"status-{i % 4}".encode().decode() for i in range(400)]
    records = [{"".join(["cust", "omer"]): None} for _ in range(50)]
    graph = heap(orders__api={"WORDS": words, "RECORDS": records})
    rows = {row.kind: row for row in graph.waste()}
    assert rows["equal values"].objects == 396
    assert rows["equal values"].bytes == sum(word.__sizeof__() for word in words[4:])
    assert rows["repeated keys"].objects == 49
    assert rows["repeated keys"].bytes == 49 * "customer".__sizeof__()


def test_room_in_containers():
    #       r: an empty list, a list of 3 with room for 4, a list of 1 with room for 100
    graph = HeapGraph.from_arrays(
        [0, 3, 3, 6, 7, 7], [1, 2, 3, 4, 4, 4, 4], [10, 56, 88, 856, 28], [0],
        kinds=[EdgeKind.ITEM] * 7, types=[0, 1, 1, 1, 2], type_names=["tuple", "list", "int"],
        lengths=[3, 0, 3, 1, 0], capacities=[3, 0, 4, 100, 0],
    )  # fmt: skip
    rows = {row.kind: (row.objects, row.bytes) for row in graph.waste()}
    assert rows == {
        "empty containers": (1, 56),
        "over-allocated": (1, 8),
        "sparse containers": (1, 99 * 8),
    }


def test_garbage_is_not_waste():
    graph, _ = drawn("r x->y y->x")
    assert len(graph.waste()) == 0


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 10), st.data())
def test_what_if_is_the_graph_without_those_references(n, data):
    edges = data.draw(
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=3 * n)
    )
    cut = data.draw(st.lists(st.sampled_from(edges), min_size=1, max_size=3))
    sizes = [2**i for i in range(n)]
    before = from_edges(n, edges, [0], sizes)
    after = from_edges(n, [edge for edge in edges if edge not in cut], [0], sizes)
    found = before.what_if(cut)
    assert found.freed_bytes == before.live_bytes() - after.live_bytes()
    assert found.freed_objects == int(before.reachable().sum() - after.reachable().sum())


def test_what_if_names_what_still_holds_the_rest():
    shared = pages(50)
    graph = heap(orders__api={"CACHE": {f"k{i}": p for i, p in enumerate(shared)}, "TRAIL": list(shared)})
    found = graph.what_if("orders.api.CACHE")
    (held,) = found.still_held
    assert held.retainer.path == "orders.api.TRAIL"
    assert held.bytes > 10 * found.freed_bytes
    both = graph.what_if(["orders.api.CACHE", "orders.api.TRAIL"])
    assert not both.still_held
    assert both.freed_bytes >= found.freed_bytes + held.bytes * 0.99


def test_what_if_takes_edges_and_paths_too():
    graph = heap(orders__api={"CACHE": pages(5)})
    cache = graph.find("orders.api.CACHE")
    path = graph.paths_to_roots(cache, 1)[0]
    edge = next(e for e in graph.edges_of(int(path.objects[-2])) if e.target == cache)
    freed = {graph.what_if(cut).freed_bytes for cut in (path, edge, (edge.source, cache))}
    assert freed == {int(graph.retained_sizes()[cache])}


def test_merged_paths_are_one_branch_for_each_holder():
    graph = heap(orders__api={"CACHE": {f"k{i}": p for i, p in enumerate(pages(30))}, "LIST": pages(10)})
    responses = [i for i in graph.objects_of_type("dict").tolist() if "Items" in graph.children_by_key(i)]
    tree = graph.merged_paths(responses)
    assert tree.objects == 40
    frame = tree.to_pandas()
    shown = {(row.label, row.standing, row.objects) for row in frame.itertuples()}
    assert {("CACHE", 1, 30), ("LIST", 1, 10), ("[*]", 30, 30), ("[*]", 10, 10)} <= shown
    assert tree.shallow_bytes == sum(int(graph.shallow_sizes[i]) for i in responses)


def test_sizes_are_those_of_the_interpreter():
    graph = heap(orders__api={"A": [1, 2, 3]})
    found = graph.find("orders.api.A")
    assert graph.shallow_sizes[found] == [1, 2, 3].__sizeof__()
    assert sys.getsizeof([]) >= [].__sizeof__()


@pytest.mark.parametrize("name", ["A", "B"])
def test_previews(name):
    graph = heap(orders__api={"A": {"Items": [], "Count": 0}, "B": ["x"] * 3})
    wanted = {"A": "dict of 2 {Items, Count}", "B": "list of 3 elements"}
    assert graph.preview(graph.find(f"orders.api.{name}")) == wanted[name]
