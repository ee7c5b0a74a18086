import re
from xml.etree import ElementTree

import pytest

from forensics.dynamodb.chains import ChainEdge, ChainNode, ReferenceChains
from forensics.plots import chain_graph
from forensics.plots.chain_svg import CHARACTERS, WIDTH, chain_svg
from tests.unit.report.handmade import HOSTILE, chains, findings

SVG = "{http://www.w3.org/2000/svg}"


def wide(n: int) -> ReferenceChains:
    nodes = (ChainNode(0, "roots", "root", 1, 10**6),)
    nodes += tuple(ChainNode(i, f"holder {i}", "application", 1, 10**6 // i) for i in range(1, n + 1))
    return ReferenceChains(nodes, tuple(ChainEdge(0, i, "", 1, 1) for i in range(1, n + 1)), folded=2)


def test_the_picture_names_every_place_and_marks_the_one_to_edit() -> None:
    picture = ElementTree.fromstring(chain_svg(chains(), here="orders.api.RESPONSES"))
    words = " ".join(picture.itertext())
    for node in chains().nodes:
        assert node.label in words
    assert len([box for box in picture.iter(f"{SVG}rect") if "here" in box.get("class", "")]) == 1
    assert "400 objects · 40 MiB" in words
    assert "orders/api.py:12" in words
    assert "12 smaller places left out" in words


def test_it_is_told_to_those_who_cannot_see_it() -> None:
    picture = ElementTree.fromstring(chain_svg(chains(), title="The chain"))
    named = {element.get("id"): element.text for element in picture if element.tag != f"{SVG}style"}
    title, description = (named[each] for each in picture.get("aria-labelledby", "").split())
    assert picture.get("role") == "img"
    assert title == "The chain"
    assert "orders.api refers to orders.api.RESPONSES" in (description or "")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_stays_text(text: str) -> None:
    nodes = (ChainNode(0, text, "root", 1, 9, text, text, 1, (text,)), ChainNode(1, text, "dynamodb", 1, 9))
    drawn = chain_svg(ReferenceChains(nodes, (ChainEdge(0, 1, text, 1, 9),)), title=text, here=text)
    picture = ElementTree.fromstring(drawn)
    assert {element.tag.removeprefix(SVG) for element in picture.iter()} == {
        "svg", "title", "desc", "style", "g", "path", "rect", "text",
    }  # fmt: skip
    assert not [name for element in picture.iter() for name in element.attrib if name.startswith("on")]


def test_no_line_of_a_label_leaves_its_box() -> None:
    long = ReferenceChains((ChainNode(0, "very.long.module.name." * 20, "application", 1, 5),), ())
    picture = ElementTree.fromstring(chain_svg(long))
    names = [element.text or "" for element in picture.iter(f"{SVG}text") if element.get("class") == "name"]
    assert len(names) == 2
    assert max(map(len, names)) <= CHARACTERS


def test_a_wide_graph_keeps_to_its_columns_and_counts_the_rest() -> None:
    drawn = chain_svg(wide(30), limit=100, columns=3)
    assert ElementTree.fromstring(drawn).get("width") == str(3 * WIDTH + 2 * 26 + 20)
    assert "29 smaller places left out" in drawn  # 27 here, 2 before
    assert "holder 3<" in drawn
    assert "holder 4<" not in drawn


def test_a_cycle_and_an_empty_graph_are_drawn() -> None:
    nodes = tuple(ChainNode(i, f"n{i}", "runtime", 1, 1) for i in range(3))
    ring = tuple(ChainEdge(i, (i + 1) % 3, "", 1, 1) for i in range(3))
    assert chain_svg(ReferenceChains(nodes, ring)).count('class="edge"') == 3
    ElementTree.fromstring(chain_svg(ReferenceChains((), ())))


def test_smallest_keeps_whole_ways_from_the_root() -> None:
    few = chain_graph.smallest(chains(), 5)
    assert {node.id for node in few.nodes} == {0, 1, 2, 3, 4}
    assert few.folded == 12 + 4


def test_only_path_keeps_what_leads_there_and_what_hangs_below() -> None:
    kept = chain_graph.only_path(chains(), "orders.api.RESPONSES")
    assert kept is not None
    assert {node.id for node in kept.nodes} == {0, 1, 2, 3, 4, 5}
    assert chain_graph.only_path(chains(), "orders.api.RESP") is None


def test_a_finding_without_chains_still_has_a_picture() -> None:
    finding = findings()[0]
    words = re.sub(
        r"\s+", " ", " ".join(ElementTree.fromstring(chain_svg(chain_graph.from_finding(finding))).itertext())
    )
    for step in ("module orders.api", "RESPONSES", "DynamoDB response from Query", "on Orders"):
        assert step in words
