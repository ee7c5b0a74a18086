"""Paths as a person would write them, the variable to edit, and different ways to the same object."""

import asyncio
import collections
import functools
import queue
import time
import types

import numpy as np
import pytest
from heapbuilder import heap, query_response

from forensics.agent.stream import RootKind
from forensics.heap import EdgeKind

from .drawn import drawn, from_edges


def own(cls, module="orders.api"):
    """The class as if the program's module had defined it."""
    cls.__module__ = module
    return cls


# ruff: noqa: B008, B019, UP033
@own
class Repo:
    def __init__(self):
        self.trail = []

    @functools.lru_cache(maxsize=None)
    def load(self, key):
        return query_response(1)

    @functools.lru_cache(maxsize=8)
    def bounded(self, key):
        return query_response(1)


@own
class Slotted:
    __slots__ = ("page",)

    def __init__(self, page):
        self.page = page


@own
class Table:
    seen: list = []  # noqa: RUF012


def register():
    page = query_response(1)

    def on_flush():
        return page

    return on_flush


def stream():
    rows = [query_response(1)]
    yield rows


async def worker():
    items = [query_response(1)]
    await asyncio.sleep(3600)
    return items


def with_default(page={"k": query_response(1)}):  # noqa: B006
    return page


def failing():
    pages = [query_response(1)]
    raise ValueError(len(pages))


def the_only(graph, keys=("Items", "Count")):
    """The responses of a graph."""
    return [
        i
        for i in graph.objects_of_type("dict").tolist()
        if set(keys) <= set(graph.children_by_key(i)) and graph.reachable()[i]
    ]


def path_to_response(**namespace):
    graph = heap(orders__api=namespace)
    (response,) = the_only(graph)
    return graph.paths_to_roots(response, 1)[0]


def started(generator):
    next(generator)
    return generator


def caught():
    try:
        failing()
    except ValueError as error:
        return error
    return None


def full_repo():
    repo = Repo()
    repo.trail.append(query_response(1))
    return repo


def filled(kind):
    queue_ = kind()
    queue_.put(query_response(1))
    return queue_


@pytest.mark.parametrize(
    ("namespace", "expression", "retainer", "kind"),
    [
        ({"RESPONSES": {"k3": [query_response(1)]}}, "orders.api.RESPONSES['k3'][0]", "orders.api.RESPONSES",
         "module-variable"),
        ({"RESPONSES": {17: query_response(1)}}, "orders.api.RESPONSES[…]", "orders.api.RESPONSES",
         "module-variable"),
        ({"REPO": full_repo()}, "orders.api.REPO.trail[0]", "orders.api.REPO.trail", "attribute"),
        ({"ONE": Slotted(query_response(1))}, "orders.api.ONE.page", "orders.api.ONE.page", "attribute"),
        ({"HOOK": register()}, "closure of on_flush: page", "closure of on_flush: page", "closure"),
        ({"ROWS": started(stream())}, "generator stream() local rows[0]", "generator stream() local rows",
         "generator"),
        ({"QUEUE": filled(queue.Queue)}, "orders.api.QUEUE.queue[0]", "orders.api.QUEUE.queue", "queue"),
        ({"DEFAULT": with_default}, "orders.api.DEFAULT.__defaults__[0]['k']",
         "orders.api.DEFAULT.__defaults__", "function-default"),
        ({"RECENT": collections.deque([query_response(1)])}, "orders.api.RECENT[0]", "orders.api.RECENT",
         "module-variable"),
        ({"ORDERED": collections.OrderedDict(k=query_response(1))}, "orders.api.ORDERED['k']",
         "orders.api.ORDERED", "module-variable"),
        ({"NS": types.SimpleNamespace(pages=[query_response(1)])}, "orders.api.NS.pages[0]",
         "orders.api.NS.pages", "attribute"),
        ({"ERROR": caught()}, None, "orders.api.ERROR", "exception"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)  # fmt: skip
def test_expression_and_place(namespace, expression, retainer, kind):
    path = path_to_response(**namespace)
    if expression is not None:
        assert path.expression == expression == str(path)
    assert (path.retainer.path, path.retainer.kind) == (retainer, kind)


def test_a_traceback_is_told_by_the_function_whose_locals_it_keeps():
    path = path_to_response(ERROR=caught())
    assert path.expression == "orders.api.ERROR.__traceback__ · failing() local pages[0]"


@pytest.mark.parametrize("method", ["load", "bounded"])
def test_lru_cache_is_written_as_its_cache(method):
    Repo.load.cache_clear()
    Repo.bounded.cache_clear()
    getattr(Repo, method)(None, "k")
    path = path_to_response(Repo=Repo)
    assert path.expression.startswith(f"orders.api.Repo.{method}.cache[")
    assert (path.retainer.path, path.retainer.kind) == (f"orders.api.Repo.{method}.cache", "cache")


def test_a_class_attribute():
    Repo.load.cache_clear()
    Table.seen.clear()
    Table.seen.append(query_response(1))
    path = path_to_response(Table=Table)
    assert path.expression == "orders.api.Table.seen[0]"
    assert path.retainer.kind == "class-attribute"


def test_a_task_is_named():
    async def main():
        task = asyncio.create_task(worker(), name="Task-12")
        await asyncio.sleep(0)
        path = path_to_response(TASK=task)
        task.cancel()
        return path

    path = asyncio.run(main())
    assert path.expression.endswith("worker() local items[0]")
    assert path.expression.startswith("Task")
    assert path.retainer.kind == "task"


def test_callbacks_in_a_list_point_at_the_list():
    graph = heap(orders__api={"HOOKS": [register() for _ in range(30)]})
    path = graph.paths_to_roots(the_only(graph)[0], 1)[0]
    assert (path.retainer.path, path.retainer.kind) == ("orders.api.HOOKS", "callback")


def test_plumbing_is_shown_on_request():
    path = path_to_response(RESPONSES={"k3": [query_response(1)]})
    assert path.full == "sys.modules['orders.api'].__dict__['RESPONSES']['k3'][0]"
    assert [step.type_name for step in path.steps] == ["dict", "module", "dict", "dict", "list", "dict"]
    assert len(path) == len(path.to_pandas()) == 6


def test_the_module_that_defines_a_variable_is_named():
    shared = {"k": query_response(1)}
    main = types.ModuleType("orders.main")
    graph = heap(
        orders__web={"RESPONSES": shared, "api": main},
        orders__api={"RESPONSES": shared},
        orders__main={"R": shared},
    )
    first, *others = graph.paths_to_roots(the_only(graph)[0], 5)
    assert first.expression == "orders.api.RESPONSES['k']"
    assert {"orders.web.RESPONSES['k']", "orders.main.R['k']"} <= {other.expression for other in others}


def test_the_agent_of_a_capture_is_named_last():
    shared = {"k": query_response(1)}
    graph = heap(_forensics_agent__server={"KEPT": shared}, json__decoder={"kept_below": {"a": shared}})
    first, second = graph.paths_to_roots(the_only(graph)[0], 5)
    assert first.expression == "json.decoder.kept_below['a']['k']"
    assert second.expression == "_forensics_agent.server.KEPT['k']"
    known = graph.variables().best(int(second.objects[-2]))
    assert known is not None and graph.modules().origins[known[0]] == "agent"


def test_different_paths_come_once_each_and_nearest_first():
    page = query_response(1)
    Repo.load.cache_clear()
    Repo.bounded.cache_clear()
    repo = Repo()
    repo.trail.append(page)
    graph = heap(orders__api={"CACHE": {"k": page}, "REPO": repo, "DEEP": [[[[page]]]]})
    (response,) = the_only(graph)
    paths = [path.expression for path in graph.paths_to_roots(response, 5)]
    assert paths == ["orders.api.CACHE['k']", "orders.api.REPO.trail[0]", "orders.api.DEEP[0][0][0][0]"]
    assert len(graph.paths_to_roots(response, 2)) == 2
    assert graph.paths_to_roots(response, 0) == []


def test_every_path_is_one_of_the_graph():
    chance = np.random.default_rng(5)
    for _ in range(150):
        n = int(chance.integers(2, 15))
        edges = [tuple(map(int, e)) for e in chance.integers(0, n, (2 * n, 2))]
        graph = from_edges(n, edges, [0, int(chance.integers(0, n))])
        for i in np.flatnonzero(graph.reachable()).tolist():
            paths = graph.paths_to_roots(i, 5)
            assert paths
            for path in paths:
                assert path.objects[0] in graph.root_objects and path.objects[-1] == i
                assert len(set(path.objects.tolist())) == len(path.objects)
                assert (graph.targets[path.references] == path.objects[1:]).all()
                assert (graph.sources_of(path.references) == path.objects[:-1]).all()


def test_the_first_path_is_a_shortest_one():
    chance = np.random.default_rng(6)
    for _ in range(100):
        n = int(chance.integers(2, 20))
        edges = [tuple(map(int, e)) for e in chance.integers(0, n, (2 * n, 2))]
        graph = from_edges(n, edges, [0])
        distance = {0: 0}
        layer = [0]
        while layer:
            following = {b for a in layer for s, b in edges if s == a} - distance.keys()
            distance.update(dict.fromkeys(following, distance[layer[0]] + 1))
            layer = list(following)
        for i, steps in distance.items():
            assert len(graph.paths_to_roots(i, 1)[0].references) == steps


def test_all_the_ways_through_a_small_graph_are_found():
    #     a   c
    #   / \\ / \\      r to e: four ways
    #  r   b    e
    graph, ids = drawn("r->a a->b r->b b->c c->e b->e")
    ways = {tuple(path.objects.tolist()) for path in graph.paths_to_roots(ids["e"], 10)}
    r, b, c, e = (ids[name] for name in "rbce")
    assert (r, b, e) in ways and (r, b, c, e) in ways
    assert len(ways) >= 2


def test_a_linked_list_of_a_hundred_thousand_is_written_with_its_middle_left_out():
    n = 100_000
    graph = from_edges(n, [(i, i + 1) for i in range(n - 1)], [0])
    begin = time.perf_counter()
    (path,) = graph.paths_to_roots(n - 1, 1)
    assert time.perf_counter() - begin < 10
    assert "⋯ 99,871 steps ⋯" in path.expression and len(path.expression) < 5000
    assert len(path) == n


def test_garbage_is_told_by_its_cycle():
    #  r      x <-> y -> z
    graph, ids = drawn("r x->y y->x y->z", sizes={"z": 100})
    (path,) = graph.paths_to_roots(ids["z"])
    assert path.root_kind == "unreachable" and path.retainer.kind == "unreachable-cycle"
    garbage = graph.garbage()
    assert len(garbage.heads) == 1 and garbage.held_bytes.tolist() == [102]
    assert sorted(garbage.objects.tolist()) == sorted([ids["x"], ids["y"], ids["z"]])


def test_roots_of_other_kinds():
    graph = from_edges(
        2, [(0, 1)], [0], root_kinds=[RootKind.NATIVE], type_names=["list", "str"], types=[0, 1]
    )
    (path,) = graph.paths_to_roots(1)
    assert path.root_kind == "native" and path.retainer.kind == "native"
    assert path.expression == "native code → list → str"


def test_find_follows_what_is_written():
    graph = heap(orders__api={"RESPONSES": {"k3": [query_response(4)]}, "REPO": full_repo()})
    for expression in ("orders.api.RESPONSES['k3'][0]['Items'][3]", "orders.api.REPO.trail"):
        found = graph.find(expression)
        assert graph.paths_to_roots(found, 1)[0].expression == expression


def test_a_key_in_a_dict_as_a_dict_tells_it():
    graph = heap(orders__api={"D": {"a": 1, 2: "b"}})
    children = graph.children_by_key(graph.find("orders.api.D"))
    assert graph.type_name(children["a"]) == "int"
    assert len(children) == 2
    edges = list(graph.edges_of(graph.find("orders.api.D")))
    assert {edge.kind for edge in edges} == {EdgeKind.KEY, EdgeKind.KEY_OBJECT}
    assert next(graph.label_text(edge) for edge in edges if edge.kind is EdgeKind.KEY) == "a"
