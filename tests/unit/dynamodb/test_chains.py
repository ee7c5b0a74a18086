"""Reference chains: a thousand equal paths are one.

roots ── orders.api ── RESPONSES ══ 1000 × response
                  └── HISTORY ══ 5 × items
"""

import json

import pandas as pd
import pytest
from heapbuilder import heap, low_level_items, query_response

from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains, chains, draw_live


@pytest.fixture(scope="module")
def drawn():
    return chains(
        heap(
            orders__api={
                "RESPONSES": {f"k{n}": query_response(1) for n in range(1000)},
                "HISTORY": [low_level_items(2) for _ in range(5)],
            }
        )
    )


def test_equal_paths_are_merged_and_weighted(drawn):
    responses = next(node for node in drawn.nodes if node.label == "response")
    assert (responses.objects, responses.room) == (1000, "dynamodb")
    (edge,) = [edge for edge in drawn.edges if edge.target == responses.id]
    assert edge.references == 1000
    assert edge.retained_bytes == responses.retained_bytes > 0
    assert len(drawn.nodes) < 10


def test_every_edge_joins_nodes_and_every_node_is_reached_from_the_root(drawn):
    ids = {node.id for node in drawn.nodes}
    assert all({edge.source, edge.target} <= ids for edge in drawn.edges)
    reached = {0}
    for _ in drawn.edges:
        reached |= {edge.target for edge in drawn.edges if edge.source in reached}
    assert reached == ids


def test_forms(drawn):
    assert json.loads(drawn.to_json())["schema"] == "forensics.chains/1"
    assert isinstance(drawn.to_pandas(), pd.DataFrame)
    assert len(drawn.to_pandas()) == len(drawn.edges)
    assert "1,000 × response" in str(drawn)
    assert "RESPONSES" in str(drawn)
    assert drawn.to_dot().count("->") == len(drawn.edges)


def test_the_way_to_most_comes_first_however_little_its_parts_retain_and_no_way_goes_in_a_circle():
    nodes = (
        ChainNode(0, "GC roots", "root", 1, 10_000),
        ChainNode(1, "module", "application", 1, 4_000),
        ChainNode(2, "few", "dynamodb", 3, 3_000),
        ChainNode(3, "function", "application", 1, 168),
        ChainNode(4, "many", "dynamodb", 9, 6_000),
    )
    ways = ((0, 1), (0, 3), (1, 2), (3, 4), (4, 3))
    drawn = ReferenceChains(nodes, tuple(ChainEdge(a, b, "x", 1, nodes[b].retained_bytes) for a, b in ways))
    told = [line.strip().split("  ")[0] for line in str(drawn).splitlines()]
    assert told == ["GC roots", "x → function", "x → 9 × many", "x → module", "x → 3 × few"]


def test_labels_out_of_a_heap_are_no_syntax_in_dot():
    nodes = (ChainNode(0, 'a"]; b -> c; ["', "root", 1, 1), ChainNode(1, "back\\slash\nline", "sdk", 1, 1))
    dot = ReferenceChains(nodes, (ChainEdge(0, 1, '"quoted"', 1, 1),)).to_dot()
    assert 'a\\"]; b -> c; [\\"' in dot
    assert "back\\\\slash\\nline" in dot


def test_nothing_to_draw():
    empty = chains(heap(m={}))
    assert (empty.nodes, empty.edges) == ((), ())
    assert str(empty) == "no DynamoDB objects are reachable"


def test_objgraph_draws_this_very_process(tmp_path):
    class Cache:
        pass

    cache, response = Cache(), query_response(1)
    cache.latest = response
    drawing = tmp_path / "referrers.dot"
    draw_live([response], filename=str(drawing))
    assert "digraph" in drawing.read_text() and "Cache" in drawing.read_text()
