"""In which room of the program a place of the heap stands, on the captures that come along."""

from __future__ import annotations

import pytest

import forensics as fx
from forensics.dynamodb.chains import ReferenceChains
from forensics.dynamodb.rooms import _of_script
from forensics.lab import bundled_capture


@pytest.fixture(scope="module")
def chains() -> ReferenceChains:
    return fx.open(bundled_capture("leaking", "express")).chains()


def test_the_programs_own_map_stands_in_the_application_and_names_its_line(chains):
    (held,) = [node for node in chains.nodes if node.path == "api.js · responses"]
    assert (held.label, held.room) == ("Map", "application")
    assert held.file is not None and held.file.endswith("/api.js")
    assert held.line == 11
    below = {edge.target for edge in chains.edges if edge.source == held.id}
    assert {node.label for node in chains.nodes if node.id in below} == {"response"}


def test_clients_are_the_sdks_and_routes_the_frameworks(chains):
    rooms = {node.label: node.room for node in chains.nodes}
    assert rooms["DynamoDBClient"] == rooms["DynamoDBDocumentClient"] == "sdk"
    assert "framework" in rooms.values()
    assert rooms["response"] == "dynamodb"
    assert rooms["(system)"] == "runtime"


def test_what_has_no_name_in_any_source_is_not_drawn(chains):
    assert not {"Map table", "system / Context"} & {node.label for node in chains.nodes}


@pytest.mark.parametrize(
    ("file", "room"),
    [
        ("/srv/app/node_modules/@smithy/core/dist-cjs/index.js", "sdk"),
        ("/srv/app/node_modules/@aws-sdk/client-dynamodb/dist-cjs/index.js", "sdk"),
        ("/srv/app/node_modules/express/lib/application.js", "framework"),
        ("/srv/app/node_modules/@aws-sdk/x/node_modules/tslib/index.js", "framework"),
        ("node:internal/timers", "runtime"),
        ("", "runtime"),
        ("routes/api.js", "application"),
        ("/srv/app/routes/api.js", "application"),
    ],
)
def test_scripts_by_their_place(file, room):
    assert _of_script(file) == room
