"""Dominators, retained sizes and reachability against igraph, networkx and brute force."""

import math
import random
import time

import igraph
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .drawn import drawn, from_edges, linked_list_with_tail_container


def by_networkx(n, edges, roots):
    graph = nx.DiGraph()
    graph.add_node("virtual root")
    graph.add_edges_from(edges)
    graph.add_edges_from(("virtual root", root) for root in roots)
    found = nx.immediate_dominators(graph, "virtual root")
    found.pop("virtual root", None)
    return [-2 if i not in found else -1 if found[i] == "virtual root" else found[i] for i in range(n)]


def by_igraph(n, edges, roots):
    graph = igraph.Graph(n + 1, [*edges, *((n, root) for root in roots)], directed=True)
    found = graph.dominator(n)
    return [-1 if d == n else -2 if math.isnan(d) or d < 0 else d for d in found[:n]]


def reached(n, edges, roots, without=()):
    alive, stack = set(), [r for r in roots if r not in without]
    out = {}
    for a, b in edges:
        out.setdefault(a, []).append(b)
    while stack:
        i = stack.pop()
        if i not in alive:
            alive.add(i)
            stack.extend(j for j in out.get(i, ()) if j not in without)
    return alive


graphs = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=3 * n),
        st.lists(st.integers(0, n - 1), min_size=1, max_size=3),
    )
)


@settings(max_examples=400, deadline=None)
@given(graphs)
def test_equal_to_networkx(case):
    n, edges, roots = case
    assert from_edges(n, edges, roots).immediate_dominators().tolist() == by_networkx(n, edges, roots)


@pytest.fixture(params=["nearest common ancestors", "link and evaluate"])
def each_way(request, monkeypatch):
    """The first way gives up where it has no patience, and the other one takes over."""
    if request.param == "link and evaluate":
        monkeypatch.setattr("forensics.heap.dominators._PATIENCE", -1)


@pytest.mark.usefixtures("each_way")
def test_equal_to_igraph_on_thousands_of_random_graphs():
    chance = random.Random(7)
    for _ in range(4000):
        n = chance.randint(1, 40)
        density = chance.choice([0.5, 1, 1.5, 3])
        edges = [(chance.randrange(n), chance.randrange(n)) for _ in range(int(n * density))]
        roots = [chance.randrange(n) for _ in range(chance.randint(1, 4))]
        found = from_edges(n, edges, roots).immediate_dominators().tolist()
        assert found == by_igraph(n, edges, roots), (n, edges, roots)


@pytest.mark.usefixtures("each_way")
def test_equal_to_igraph_on_large_random_graphs():
    chance = np.random.default_rng(3)
    for n in (1000, 30_000):
        edges = chance.integers(0, n, (2 * n, 2)).tolist()
        found = from_edges(n, [tuple(e) for e in edges], [0, 1]).immediate_dominators().tolist()
        assert found == by_igraph(n, [tuple(e) for e in edges], [0, 1])


@settings(max_examples=300, deadline=None)
@given(graphs, st.data())
def test_retained_size_is_what_dies_without_the_object_or_the_set(case, data):
    n, edges, roots = case
    sizes = data.draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    chosen = data.draw(st.lists(st.integers(0, n - 1), max_size=4))
    graph = from_edges(n, edges, roots, sizes)
    alive = reached(n, edges, roots)
    assert set(np.flatnonzero(graph.reachable()).tolist()) == alive

    def freed(without):
        return sum(sizes[i] for i in alive - reached(n, edges, roots, set(without)))

    assert graph.retained_sizes().tolist() == [freed([i]) for i in range(n)]
    assert graph.retained_size_of(chosen) == freed(chosen)
    assert graph.live_bytes() == sum(sizes[i] for i in alive)


@settings(max_examples=100, deadline=None)
@given(graphs)
def test_incoming_holds_every_reference_once(case):
    n, edges, roots = case
    graph = from_edges(n, edges, roots)
    incoming = graph.incoming()
    pairs = [(s, i) for i in range(n) for s in incoming.of(i).tolist()]
    assert sorted(pairs) == sorted(edges)
    for i in range(n):
        assert (graph.targets[incoming.edges_to(i)] == i).all()
        assert (graph.sources_of(incoming.edges_to(i)) == incoming.of(i)).all()


def test_the_cycle_below_an_object_belongs_to_it():
    # r -> x -> y <-> z(1 MB): a public tool gives x ten bytes
    graph, ids = drawn("r->x x->y y->z z->y", sizes={"z": 1_000_000})
    assert graph.retained_sizes()[ids["x"]] == 1_000_002


def test_weak_references_hold_nothing():
    #  r -> a -> b        r ~> b, r ~> c: only what a holds is alive
    graph, ids = drawn("r->a a->b r~>b r~>c")
    assert graph.immediate_dominators()[ids["b"]] == ids["a"]
    assert graph.immediate_dominators()[ids["c"]] == -2
    assert graph.retained_sizes()[ids["c"]] == 0
    assert not graph.reachable()[ids["c"]]


def test_two_holders_of_the_same_page_retain_it_only_together():
    # r -> cache -> page <- trail <- r
    graph, ids = drawn("r->cache r->trail cache->page trail->page", sizes={"page": 100})
    retained = graph.retained_sizes()
    assert retained[ids["cache"]] == retained[ids["trail"]] == 1
    assert graph.retained_size_of([ids["cache"], ids["trail"]]) == 102


@pytest.mark.usefixtures("each_way")
def test_self_loops_parallel_edges_repeated_roots():
    graph, ids = drawn("r->r r->a r->a a->a a->b b->r", roots="r r")
    assert graph.immediate_dominators()[ids["b"]] == ids["a"]
    assert graph.immediate_dominators()[ids["r"]] == -1


def test_one_object_and_none():
    assert from_edges(1, [], [0]).immediate_dominators().tolist() == [-1]
    nothing = from_edges(0, [], [])
    assert nothing.immediate_dominators().tolist() == []
    assert nothing.retained_sizes().tolist() == []
    assert len(nothing.holders()) == 0 and len(nothing.census()) == 0
    assert nothing.retained_size_of([]) == 0
    assert len(nothing.sql("select * from objects")) == 0


def test_a_linked_list_with_a_container_at_its_tail_stays_linear():
    linked_list_with_tail_container(10).retained_sizes()  # compiled, or read from numba's cache
    graph = linked_list_with_tail_container(200_000)
    begin = time.perf_counter()
    retained = graph.retained_sizes()
    seconds = time.perf_counter() - begin
    assert retained[0] == 400_001
    # The payload of a node hangs on that node and on the container: the node dominates it.
    assert graph.immediate_dominators()[200_000:200_003].tolist() == [0, 1, 2]
    assert seconds < 10, f"{seconds:.1f} s; a quadratic algorithm needs more than two minutes"


@pytest.mark.usefixtures("each_way")
@pytest.mark.parametrize("shape", ["chain", "comb", "ladder"])
def test_deep_graphs_do_not_recurse(shape):
    n = 100_000
    edges = [(i, i + 1) for i in range(n - 1)]
    if shape == "comb":
        edges += [(i, 0) for i in range(1, n)]
    if shape == "ladder":
        edges += [(i, i + 2) for i in range(n - 2)]
    graph = from_edges(n, edges, [0])
    assert graph.retained_sizes()[0] == n
    assert graph.immediate_dominators()[n - 1] == (n - 2 if shape != "ladder" else 0)


def test_the_tree_lists_what_an_object_dominates():
    graph, ids = drawn("r->a r->b a->c b->c c->d")
    tree = graph.dominator_tree()
    assert sorted(tree.children(ids["r"]).tolist()) == sorted([ids["a"], ids["b"], ids["c"]])
    assert tree.children().tolist() == [ids["r"]]
    assert tree.chain(ids["d"]) == [ids["c"], ids["r"]]
    assert tree.sum(np.ones(len(graph), np.int64))[ids["r"]] == 5
