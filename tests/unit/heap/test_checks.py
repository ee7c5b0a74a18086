"""Bad input: each error names the value and says what would be right."""

import numpy as np
import pytest

from forensics.errors import ForensicsError, GraphError
from forensics.heap import EdgeKind, HeapGraph, diff

from .drawn import drawn, from_edges

GOOD = {"offsets": [0, 1, 1], "targets": [1], "sizes": [8, 8], "roots": [0]}

BAD = [
    ({"offsets": [0, 1]}, "offsets has 2 entries; 2 sizes need 3"),
    ({"offsets": [0, 1, 2]}, "offsets runs from 0 to 2; it must run from 0 to 1"),
    ({"offsets": [1, 1, 1]}, "offsets runs from 1"),
    ({"offsets": [0, 2, 1]}, "offsets falls from 2 to 1 at object 1"),
    ({"targets": [2]}, r"targets\[0\] is 2, which is not an object of this graph: 0 … 1"),
    ({"targets": [-1]}, r"targets\[0\] is -1"),
    ({"targets": [2**31]}, "targets holds 2147483648; int32 holds"),
    ({"targets": [0.5]}, "targets must hold whole numbers; its dtype is float64"),
    ({"targets": [[1]]}, r"targets must be one-dimensional; it has the shape \(1, 1\)"),
    ({"sizes": [8, -8]}, r"sizes\[1\] is -8 bytes; it must be 0 or more"),
    ({"roots": [5]}, r"roots\[0\] is 5"),
    ({"roots": []}, "2 objects and no root"),
    ({"kinds": [99]}, r"kinds\[0\] is 99, which is not an EdgeKind"),
    ({"kinds": [1, 1]}, "kinds has 2 entries; there must be one for each reference, 1"),
    ({"types": [0, 3]}, r"types\[1\] is 3, which is not an entry of type_names"),
    ({"texts": [0, 0]}, r"texts\[0\] is 0, which is not an entry of strings"),
    ({"kinds": [EdgeKind.KEY], "labels": [7]}, r"labels\[0\] is 7; for KEY it must be an object"),
    ({"kinds": [EdgeKind.ATTRIBUTE], "labels": [0]}, r"labels\[0\] is 0; for ATTRIBUTE it must be an entry"),
    ({"type_names": [3]}, "type_names must hold texts only"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_arrays_that_do_not_fit(change, message):
    with pytest.raises(GraphError, match=message):
        HeapGraph.from_arrays(**{**GOOD, **change})


def test_the_good_arrays_are_good():
    graph = HeapGraph.from_arrays(**GOOD)
    assert len(graph) == 2 and graph.n_references == 1
    assert "2 objects, 1 references, 1 roots, 16 bytes" in repr(graph)


def test_arrays_of_the_right_type_are_not_copied_and_cannot_be_written():
    targets = np.array([1], np.int32)
    graph = HeapGraph.from_arrays(**{**GOOD, "targets": targets})
    assert np.shares_memory(graph.targets, targets)
    with pytest.raises(ValueError, match="read-only"):
        graph.targets[0] = 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda g: g.type_name(9),
        lambda g: g.text(9),
        lambda g: g.preview(-1),
        lambda g: list(g.edges_of(9)),
        lambda g: g.children_by_key(9),
        lambda g: g.paths_to_roots(9),
        lambda g: g.retained_size_of([0, 9]),
        lambda g: g.merged_paths([9]),
        lambda g: g.what_if((9, 0)),
    ],
)
def test_an_object_that_is_not_there(ask):
    with pytest.raises(GraphError, match=r"There is no object (9|-1): the graph has 2 objects"):
        ask(HeapGraph.from_arrays(**GOOD))


def test_other_questions_without_an_answer():
    graph, ids = drawn("r->a a->b")
    with pytest.raises(GraphError, match="'x' is not the id of an object"):
        graph.type_name("x")
    with pytest.raises(GraphError, match="does not refer to object"):
        graph.what_if((ids["r"], ids["b"]))
    with pytest.raises(GraphError, match="A census cannot be taken by 'colour'"):
        graph.census("colour")
    with pytest.raises(GraphError, match="A diff needs two snapshots or more; there is 1"):
        diff([graph])
    with pytest.raises(GraphError, match="1 times for 2 snapshots"):
        diff([graph, graph], times=[1.0])
    with pytest.raises(GraphError, match="does not begin with a module"):
        graph.find("orders.api.X")


def test_every_error_is_a_forensics_error_with_its_data():
    with pytest.raises(ForensicsError) as caught:
        from_edges(2, [(0, 5)], [0])
    assert caught.value.data == {"name": "targets", "index": 0, "value": 5}
