"""SQL: the tables as documented, and nothing outside them."""

import pytest
from heapbuilder import heap, query_response

from forensics.errors import QueryError
from forensics.heap.query import TABLES

from .drawn import drawn


@pytest.fixture(scope="module")
def graph():
    return heap(orders__api={"CACHE": [query_response(3) for _ in range(10)]})


@pytest.mark.parametrize("table", TABLES)
def test_columns_are_those_of_the_design(graph, table):
    assert graph.sql(f"select * from {table}").columns == TABLES[table].split(", ")


def test_objects(graph):
    (row,) = graph.sql("select count(*), sum(shallow_size), max(retained_size) from objects where reachable")
    assert row == (len(graph), int(graph.shallow_sizes.sum()), int(graph.retained_sizes().max()))
    shapes = dict(iter(graph.sql("select shape, count(*) from objects where type = 'dict' group by 1")))
    assert shapes["dict{S}"] == 90


def test_edges_and_roots(graph):
    found = graph.sql(
        "select o.address from edges e join objects o on e.target = o.id "
        "where e.kind = 'key' and e.label = 'CACHE'"
    )
    assert found.rows() == [(int(graph.addresses[graph.find("orders.api.CACHE")]),)]
    assert graph.sql("select max(cast(label as int)) from edges where kind = 'item'").rows() == [(9,)]
    assert graph.sql("select * from roots").to_dicts() == [
        {"object": 0, "kind": "modules", "name": "sys.modules"}
    ]


def test_results_come_as_rows_dicts_and_frame(graph):
    found = graph.sql("select id, type from objects order by id limit 3")
    assert len(found) == 3 and found.rows(1) == [(0, "dict")]
    assert found.to_pandas()["id"].tolist() == [0, 1, 2]
    assert "3 rows" in repr(found)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/hostname')",
        "select * from '/etc/passwd'",
        "select * from glob('/*')",
        "select * from read_parquet('https://example.com/x.parquet')",
        "copy objects to '/tmp/leak.csv'",
        "copy (select 1) to '/tmp/leak.csv'",
        "attach '/tmp/x.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "pragma database_list",
        "create table t as select 1",
        "drop view objects",
        "delete from objects",
        "select 1; select 2",
        "export database '/tmp/x'",
        "call pragma_version()",
        "",
        "not sql at all",
        "select nothing from objects",
        "select * from nowhere",
    ],
)
def test_everything_else_is_refused_with_what_is_there(graph, query):
    with pytest.raises(QueryError) as caught:
        graph.sql(query)
    assert "objects(id, address, type" in str(caught.value)


def test_variables_of_this_program_are_no_tables(graph):
    import pandas as pd

    secret = pd.DataFrame({"x": [1]})
    with pytest.raises(QueryError, match="secret"):
        graph.sql("select * from secret")
    assert len(secret) == 1


def test_queries_do_not_leave_their_settings_behind(graph):
    with pytest.raises(QueryError):
        graph.sql("select nothing from objects")
    assert len(graph.sql("select 1")) == 1


def test_graphs_without_columns_can_be_asked_too():
    graph, ids = drawn("r->a a->b r~>b")
    assert graph.sql("select kind, count(*) n from edges group by 1 order by 1").rows() == [
        ("internal", 2),
        ("weak", 1),
    ]
    assert graph.sql("select dominator from objects order by id").rows() == [(-1,), (ids["r"],), (ids["a"],)]
