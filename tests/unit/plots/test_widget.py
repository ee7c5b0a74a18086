from html.parser import HTMLParser

import pytest

from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.plots.widget import MOST, ReferenceGraph
from tests.unit.report.handmade import chains


@pytest.fixture
def widget() -> ReferenceGraph:
    return ReferenceGraph(chains(hostile=True))


def test_what_the_browser_gets_holds_no_control_character(widget: ReferenceGraph) -> None:
    texts = [
        text for node in widget.graph["nodes"] for text in [node["label"], node["path"], *node["examples"]]
    ]
    texts += [edge["label"] for edge in widget.graph["edges"]]
    assert all(text.isprintable() for text in texts)
    assert any("<script>" in text for text in texts)  # as text: the page puts it in with textContent


def test_where_no_widget_runs_a_static_picture_stands_for_it(widget: ReferenceGraph) -> None:
    bundle = widget._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(data["text/html"])
    assert "svg" in tags
    assert "script" not in tags
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "\x1b" not in data["text/plain"]


def test_the_widget_needs_no_network(widget: ReferenceGraph) -> None:
    script = widget._esm
    assert "import " not in script.split("// The reference graph in the browser.")[1]
    assert "fetch(" not in script.split("// The reference graph in the browser.")[1]
    assert "The Cytoscape Consortium" in script


def test_a_very_large_graph_is_folded_and_counted() -> None:
    nodes = (ChainNode(0, "roots", "root", 1, 10**6),)
    nodes += tuple(ChainNode(i, "holder", "application", 1, 10**6 - i) for i in range(1, 1001))
    large = ReferenceChains(nodes, tuple(ChainEdge(0, i, "", 1, 1) for i in range(1, 1001)))
    graph = ReferenceGraph(large).graph
    assert len(graph["nodes"]) == MOST
    assert graph["folded"] == 1001 - MOST
