"""Reference chains out of what grf wrote of the leaking echo specimen: variables lead to DynamoDB data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import forensics as fx
from forensics import plots
from forensics.dynamodb.go_references import outputs, reference_chains
from forensics.errors import GraphError
from forensics.formats import pprof
from forensics.plots import chain_graph
from forensics.profiles.builder import ProfileBuilder
from forensics.profiles.model import Frame, Origin
from forensics.rules.by_handlers import by_handlers

FILE = Path(__file__).parents[2] / "data" / "profiles" / "go-references.pb.gz"


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> fx.Capture:
    return fx.open(fx.import_files([FILE], tmp_path_factory.mktemp("references") / "capture"))


def walked(*ways: tuple[str, int, int]):
    """A profile as grf writes it: ways with `` › `` between their steps, bytes, objects."""
    builder = ProfileBuilder(("live",))
    for way, size, objects in ways:
        steps = [builder.frame(Frame(step, "", 0)) for step in reversed(way.split(" › "))]
        builder.add(builder.stack(steps), {"live": (size, objects)})
    return builder.build(Origin("pprof", "go", stacks_are="references"))


TYPES = "github.com/aws/aws-sdk-go-v2/service/dynamodb"
ITEM = f"map[string]{TYPES}/types.AttributeValue"


def test_a_variable_a_response_its_items_an_attribute():
    """RESPONSES ─[a]→ GetItemOutput ─Item→ item ─[value]→ S; two elements of the map are one place."""
    response = f"$mapval. (*{TYPES}.GetItemOutput)"
    chains = reference_chains(
        walked(
            ("main.responseCache", 96, 1),
            (f"main.responseCache › {response}", 300, 3),
            (f"main.responseCache › {response} › Item. ({ITEM})", 900, 3),
            (f"main.responseCache › {response} › Item. ({ITEM}) › $mapval. ({TYPES}/types.AttributeValue)", 60, 9),
            (f"main.slots › [0]. (*{TYPES}.Client)", 500, 1),
            (f"main.slots › [10+]. (*{TYPES}.Client)", 1500, 3),
            ("main.unrelated › next. (*main.node)", 9000, 9),
        )
    )  # fmt: skip
    by_path = {node.path: node for node in chains.nodes}
    assert set(by_path) == {
        "",
        "main.responseCache",
        "main.responseCache[…]",
        "main.responseCache[…].Item",
        "main.responseCache[…].Item[…]",
        "main.slots",
        "main.slots[…]",
    }
    assert by_path["main.responseCache"].retained_bytes == 96 + 300 + 900 + 60
    assert by_path["main.responseCache"].room == "application"
    response_node = by_path["main.responseCache[…]"]
    assert (response_node.label, response_node.objects) == ("*dynamodb.GetItemOutput", 3)
    assert response_node.room == by_path["main.responseCache[…].Item"].room == "dynamodb"
    clients = by_path["main.slots[…]"]
    assert (clients.label, clients.retained_bytes, clients.room) == ("*dynamodb.Client", 2000, "sdk")
    assert [edge.label for edge in chains.edges if edge.target == response_node.id] == ["[…]"]


def test_a_key_to_go_on_from_is_a_token_and_a_map_in_an_item_none():
    profile = walked(
        (f"main.next › LastEvaluatedKey. ({ITEM})", 48, 1),
        (f"main.kept › [0]. ({ITEM}) › $mapval. ({TYPES}/types.AttributeValue) › Value. ({ITEM})", 48, 1),
    )
    assert [node.path for node in reference_chains(profile, limit=9).nodes if node.room == "dynamodb"] == [
        "main.next.LastEvaluatedKey",
        "main.kept[…]",
        "main.kept[…][…]",
        "main.kept[…][…].Value",
    ]


def test_an_empty_walk_has_no_chains():
    assert str(reference_chains(walked())) == "no DynamoDB objects are reachable"
    assert not outputs(walked(("main.main", 100, 1)))


def test_the_variables_of_the_real_service_are_named(capture):
    chains = capture.chains()
    by_path = {node.path: node for node in chains.nodes}
    held = by_path["main.responses[…]"]
    assert (held.label, held.objects, held.room) == ("*dynamodb.QueryOutput", 24, "dynamodb")
    assert {"main.responses[…].Items", "main.responses[…].Items[…]"} <= set(by_path)
    # a local variable of the goroutines that wait for ever
    assert by_path["main.waitForChange.page"].room == "dynamodb"
    total = pprof.load(FILE).total("live")
    assert (
        by_path[""].retained_bytes == total > by_path["main.responses"].retained_bytes >= held.retained_bytes
    )
    for edge in chains.edges:
        nodes = {node.id: node for node in chains.nodes}
        assert nodes[edge.target].retained_bytes <= nodes[edge.source].retained_bytes


def test_they_are_drawn_and_reported(capture, tmp_path):
    assert "main.responses" in capture.chains().to_dot() and "walked by grf" in str(capture)
    drawn = plots.ReferenceGraph(capture.chains(), focus="main.responses")
    assert "main.responses" in drawn.static() and "main.responses" in {
        node.path for node in drawn.chains.nodes
    }
    only = chain_graph.only_path(capture.chains(to="response"), "main.responses")
    assert only is not None and [node.path for node in only.nodes][-1] == "main.responses[…]"
    assert "main.responses" in fx.report(capture, tmp_path / "report.html").read_text()
    assert not capture.findings()
    with pytest.raises(GraphError, match="There are no chains to 'nonsense'"):
        capture.chains(to="nonsense")


def test_references_are_no_allocations(capture):
    assert not capture.allocations and not capture.profiles
    first, *_ = outputs(capture.references)
    assert (first.operation, first.path, first.outputs) == ("Query", "main.responses[…]", 24)


def test_a_finding_names_the_variable_that_leads_to_what_it_found(capture):
    frames = [
        Frame(f"{TYPES}.deserializeAttributeMap", "dynamodb@v1/file.go", 1),
        Frame(f"{TYPES}.(*Client).Query", "dynamodb@v1/file.go", 2),
        Frame("main.(*api).listOrders", "main/api.go", 3),
    ]
    profiles = []
    for number in range(3):
        builder = ProfileBuilder(("live",))
        size = 4_000_000 * (number + 1)
        builder.add(builder.stack(map(builder.frame, frames)), {"live": (size, 10)})
        profiles.append(builder.build(Origin("pprof", "go", start=1000.0 + 10 * number)))
    evidence = dataclasses.replace(
        capture.evidence, profiles=profiles, profile_times=[1000.0, 1010.0, 1020.0]
    )
    (finding,) = by_handlers(evidence)
    (line,) = [each for each in finding.evidence if each.startswith("references: ")]
    assert "main.responses[…] leads to 24 *dynamodb.QueryOutput" in line
    assert not any("not who holds it" in each for each in finding.evidence)
