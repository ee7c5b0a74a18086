"""The tracer's rows as a table: what the agent answers beside each snapshot, joined by snapshot number."""

from __future__ import annotations

from forensics.capture import responses

ROW = {
    "tag_address": 2**63 + 8,
    "operation": "BatchGetItem",
    "tables": ["Orders", "Customers"],
    "index": None,
    "request_id": "R1",
    "page": 1,
    "file": "/srv/app/db.py",
    "line": 41,
    "function": "load",
    "time": 1_700_000_000.5,
    "context": "GET /export",
    "held": True,
}


def test_rows_keep_their_values_and_get_the_snapshots_number():
    table = responses.table([(0, [ROW]), (2, [{**ROW, "held": False}])])
    assert table.schema == responses.SCHEMA
    assert table.to_pylist() == [{"snapshot": 0, **ROW}, {"snapshot": 2, **ROW, "held": False}]


def test_a_row_of_an_older_agent_is_filled_with_nulls_and_what_is_unknown_left_out():
    (row,) = responses.table([(0, [{"operation": "Scan", "colour": "blue"}])]).to_pylist()
    assert row["operation"] == "Scan"
    assert row["tables"] is None
    assert "colour" not in row


def test_no_rows_give_an_empty_table_of_the_same_columns():
    assert responses.table([(0, [])]).schema == responses.SCHEMA
