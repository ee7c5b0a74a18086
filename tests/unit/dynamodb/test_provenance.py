"""Provenance: tags first, then what the heap and the program's lines tell, marked as inferred."""

import numpy as np
import pandas as pd
from heapbuilder import heap, low_level_items, query_response
from servicebuilder import FILE, namespace

from forensics.dynamodb import code
from forensics.dynamodb.provenance import provenance

SERVICE = """
PAGES = []
def fetch(client):
    return client.scan(TableName="Orders")
def export(client):
    PAGES.append(fetch(client)["Items"])
"""


def service(value):
    names = namespace(SERVICE)
    names["PAGES"].append(value)
    return heap(orders__api=names)


def lines(*rows):
    columns = ["file", "scope", "name", "kind", "line", "detail"]
    return pd.DataFrame(rows, columns=columns).assign(module="orders.api", text="")


def everything(graph):
    return np.ones(len(graph), np.bool_)


def test_call_is_inferred_through_the_functions_that_fill_and_what_they_call():
    graph = service(low_level_items(2))
    found = provenance(graph, everything(graph), users=code.using(graph, "PAGES"))
    assert (found.operation, found.inferred) == ("Scan", True)
    assert any("fetch()" in site for site in found.sites)


def test_lines_of_the_program_name_the_table():
    rows = [
        (FILE, "fetch", "scan", "call", 4, 'Scan TableName="Orders"'),
        (FILE, "export", "PAGES", "fill", 6, "PAGES.append()"),
    ]
    sources = pd.DataFrame(rows, columns=["file", "scope", "name", "kind", "line", "detail"]).assign(
        module="m", text=""
    )
    graph = service(query_response(2))
    found = provenance(graph, everything(graph), filling=[(FILE, "export")], sources=sources)
    assert (found.operation, found.table, found.inferred) == ("Scan", "Orders", True)
    assert found.sites == (f"{FILE}:4 fetch()",)


def test_keys_of_the_response_outweigh_a_call_that_does_not_fit():
    graph = service({**query_response(1), "UnprocessedKeys": {}, "Responses": {}, "ScannedCount": 1})
    rows = [(FILE, "export", "get_item", "call", 4, 'GetItem TableName="Customers"')]
    sources = pd.DataFrame(rows, columns=["file", "scope", "name", "kind", "line", "detail"]).assign(
        module="m", text=""
    )
    found = provenance(graph, everything(graph), filling=[(FILE, "export")], sources=sources)
    assert found.operation != "GetItem"


def test_tags_are_taken_at_their_word():
    response = query_response(2)
    tag = "a tag, alive as long as the metadata"
    response["ResponseMetadata"]["ForensicsTag"] = tag
    graph = service(response)
    noted = pd.DataFrame(
        {
            "tag_address": np.array([id(tag), 12345], np.uint64),
            "operation": ["Query", "Scan"],
            "tables": [["Orders"], ["Other"]],
            "file": ["db.py", "db.py"],
            "line": [41, 50],
            "function": ["fetch", "other"],
            "time": [1.0, 2.0],
            "context": ["GET /export", None],
        }
    )
    found = provenance(graph, everything(graph), responses=noted)
    assert (found.operation, found.table, found.inferred) == ("Query", "Orders", False)
    assert found.sites == ("db.py:41 fetch()",)
    assert "GET /export" in found.reasons[0]


def test_nothing_tells():
    graph = heap(m={"X": low_level_items(1)})
    found = provenance(graph, everything(graph))
    assert (found.operation, found.table, found.confidence) == (None, None, 0.0)
