"""Reprs: text and HTML show the same, and nothing out of a heap is ever markup or a terminal's command."""

import html
import re

import pytest
from heapbuilder import heap, query_response

from forensics.heap import diff

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e'\"&"


@pytest.fixture(scope="module")
def results():
    names = {HOSTILE: [{HOSTILE: query_response(2)} for _ in range(40)], "B": [{HOSTILE: HOSTILE * 2}] * 2}
    graph = heap(values_kept=True, orders__api=names)
    target = graph.children_by_key(graph.find("orders.api"))[HOSTILE]
    path = graph.paths_to_roots(int(graph.targets[graph.offsets[target]]), 1)[0]
    return {
        "graph": graph,
        "holders": graph.holders(),
        "census": graph.census("shape"),
        "waste": graph.waste(),
        "path": path,
        "tree": graph.merged_paths(graph.objects_of_type("str")),
        "query": graph.sql("select distinct shape, label from objects, edges where label is not null"),
        "what if": graph.what_if(path),
        "diff": diff([graph, graph]),
    }


NAMES = ["graph", "holders", "census", "waste", "path", "tree", "query", "what if", "diff"]


@pytest.mark.parametrize("name", NAMES)
def test_html_holds_no_markup_of_the_heap(results, name):
    shown = results[name]._repr_html_()
    assert "<script" not in shown and "\x1b" not in shown and "\u202e" not in shown
    style = r"( style='text-align:\w+(;white-space:\w+)?')?"
    assert re.fullmatch(rf"(</?(div|p|b|table|thead|tbody|tr|th|td){style}>|[^<>])*", shown)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("path", "graph")])
def test_text_holds_no_command_to_the_terminal_and_shows_what_html_shows(results, name):
    result = results[name]
    text = str(result) if name == "tree" else repr(result)
    assert "\x1b" not in text and "\u202e" not in text
    assert "\\x1b" in text or name == "waste"
    title = text.splitlines()[0]
    heading = html.unescape(re.search(r"<b>(.*?)</b>", result._repr_html_()).group(1))
    assert title == heading


@pytest.mark.parametrize("name", [n for n in NAMES if n != "graph"])
def test_every_result_is_a_frame_too(results, name):
    assert results[name].to_pandas() is not None
