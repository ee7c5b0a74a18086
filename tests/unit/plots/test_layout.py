import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.plots.layout import layered

EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40)


@given(EDGES)
def test_every_node_has_one_place_and_every_route_points_down(edges: list[tuple[int, int]]) -> None:
    nodes = list(range(12))
    picture = layered(nodes, edges)
    depth = {number: level for level, row in enumerate(picture.rows) for number in row}
    assert sorted(number for row in picture.rows for number in row if number >= 0) == nodes
    for (source, target), route in picture.routes.items():
        assert (route[0], route[-1]) == (source, target)
        assert [depth[b] - depth[a] for a, b in itertools.pairwise(route)] == [1] * (len(route) - 1)


@given(EDGES)
def test_without_cycles_every_edge_has_a_route(edges: list[tuple[int, int]]) -> None:
    onwards = {(min(pair), max(pair)) for pair in edges if pair[0] != pair[1]}
    assert set(layered(list(range(12)), onwards).routes) == onwards


def test_crossings_that_need_not_be_are_undone() -> None:
    #  0   1        0   1
    #    ×     →    |   |
    #  2   3        3   2
    rows = layered([0, 1, 2, 3], [(0, 3), (1, 2)]).rows
    assert [rows[0].index(0), rows[0].index(1)] == [rows[1].index(3), rows[1].index(2)]


@pytest.mark.parametrize("nodes", [[], [7]])
def test_no_edges_is_no_trouble(nodes: list[int]) -> None:
    assert layered(nodes, []).rows == ([nodes] if nodes else [])
