"""The rules on small services: GIVEN a holder that grows, WHEN it is judged, THEN it is named with its call."""

import ast
import collections
import dataclasses
import functools
import shlex
from pathlib import Path
from typing import ClassVar

import boto3
import pandas as pd
import pytest
from heapbuilder import heap, low_level_items, query_response, resource_items
from servicebuilder import FILE, evidence, growing, namespace

from forensics.findings import SEVERITIES, Findings
from forensics.rules import GUARDS, RULES, Evidence, judge
from forensics.rules.by_handlers import PATTERNS

CACHE = """
RESPONSES = {}
def orders(client, customer):
    RESPONSES[customer] = client.query(TableName="Orders", KeyConditionExpression="c = :c")
"""
EVERY = (*RULES, *GUARDS)


def only(findings):
    loud = [finding for finding in findings if finding.severity != "info"]
    assert len(loud) == 1, [finding.title for finding in loud]
    return loud[0]


def test_unbounded_cache_of_whole_responses():
    found = growing(CACHE, lambda names, n: names["RESPONSES"].update({f"k{n}": query_response(3)}))
    finding = only(judge(found))
    assert finding.rule == "L03"
    assert finding.severity == "high"
    assert (finding.retainer.path, finding.retainer.kind) == ("orders.api.RESPONSES", "module-variable")
    assert finding.retainer.file == FILE
    assert (finding.dynamodb.kind, finding.dynamodb.operation, finding.dynamodb.table) == (
        "response",
        "Query",
        None,
    )
    assert finding.objects == 30
    assert finding.growth.shape == "growing"
    assert finding.growth.objects_per_second == pytest.approx(2.0)
    graph = found.snapshots[-1]
    assert finding.retained_bytes == graph.retained_size_of(
        [graph.children_by_key(i)[k] for i in [_cache(graph)] for k in graph.children_by_key(i)]
    )
    assert any("also L01" in line for line in finding.evidence)
    assert finding.evidence[-1].startswith("check: forensics sql small")


def _cache(graph):
    module = graph.children_by_key(int(graph.root_objects[0]))["orders.api"]
    names = graph.children_by_key(module)
    return (names if "RESPONSES" in names else graph.children_by_key(names["__dict__"]))["RESPONSES"]


def test_the_command_in_the_evidence_shows_the_same_number():
    found = growing(CACHE, lambda names, n: names["RESPONSES"].update({n: query_response(2)}))
    finding = only(judge(found))
    query = shlex.split(finding.evidence[-1])[-1]
    rows = found.snapshots[-1].sql(query).to_pandas()
    assert int(rows.loc[rows["type"] == "dict", "elements"].iloc[0]) == finding.objects


def test_table_is_named_where_the_heap_holds_it():
    source = CACHE + 'ASKED = [{"TableName": "Orders", "KeyConditionExpression": "c"}]\n'
    found = growing(source, lambda names, n: names["RESPONSES"].update({n: query_response(1)}))
    assert only(judge(found)).dynamodb.table == "Orders"


def test_list_of_items_is_accumulated_pages():
    source = "PAGES = []\ndef export(client):\n    PAGES.append(client.scan()['Items'])\n"
    finding = only(judge(growing(source, lambda names, n: names["PAGES"].append(low_level_items(4)))))
    assert (finding.rule, finding.dynamodb.kind, finding.dynamodb.operation) == ("L02", "items", "Scan")


def test_closure_and_resource_items():
    source = """
def make():
    pages = []
    def fetch(table):
        pages.append(table.query())
    return fetch
fetch = make()
"""

    def fill(names, n):
        names["fetch"].__closure__[0].cell_contents.append(resource_items(3))

    finding = only(judge(growing(source, fill)))
    assert finding.retainer.kind == "closure"
    assert "pages" in finding.retainer.path
    assert finding.dynamodb.operation == "Query"


def test_stored_exceptions():
    source = """
FAILED = []
def settle(response):
    orders = response
    raise ValueError("no")
def run(response):
    try:
        settle(response)
    except ValueError as error:
        FAILED.append(error)
"""
    finding = only(judge(growing(source, lambda names, n: names["run"](query_response(2)))))
    assert (finding.rule, finding.retainer.path) == ("L12", "orders.api.FAILED")
    assert finding.dynamodb.kind == "response"


def test_lru_cache_without_a_maximum_and_with_one():
    def service(maximum):
        source = "def customer(n):\n    return load(n)\n"

        def fill(names, n):
            names["customer_cached"](n)

        graphs = []
        for count in (10, 20, 30):
            names = namespace(source, load=lambda n: query_response(1))
            names["customer"] = functools.lru_cache(maxsize=maximum)(names["customer"])
            for n in range(count):
                names["customer"](n)
            graphs.append(heap(orders__api=names))
        return judge(evidence(graphs))

    assert only(service(None)).retainer.kind == "cache"
    assert all(finding.severity == "info" for finding in service(500))


def test_clients_that_pile_up():
    client = type("DynamoDB", (), {"__module__": "botocore.client"})
    finding = only(judge(growing("CLIENTS = []\n", lambda names, n: names["CLIENTS"].append(client()))))
    assert (finding.rule, finding.dynamodb.kind, finding.dynamodb.operation) == ("L04", "client", None)


def test_sessions_that_pile_up_are_critical():
    session = type("Session", (), {"__module__": "boto3.session"})

    def fill(names, n):
        names["SESSIONS"][n] = made = session()
        made.models = bytes(10_000 + n)

    finding = only(judge(growing("SESSIONS = {}\n", fill)))
    assert (finding.rule, finding.severity) == ("L05", "critical")


def test_growth_that_is_not_dynamodbs_is_reported_as_what_it_is():
    fill = lambda names, n: names["METRICS"].append({"at": float(n), "note": "x" * 5000 + str(n)})  # noqa: E731
    finding = only(judge(growing("METRICS = []\n", fill, counts=(50, 100, 150))))
    assert (finding.rule, finding.retainer.path, finding.dynamodb) == ("G01", "orders.api.METRICS", None)


def test_two_leaks_are_two_findings_and_one_held_twice_is_one():
    source = "A = {}\nB = []\n"

    def apart(names, n):
        names["A"][n] = query_response(1)
        names["B"].append(low_level_items(2))

    def together(names, n):
        names["A"][n] = response = query_response(1)
        names["B"].append(response)

    assert {finding.retainer.path for finding in judge(growing(source, apart))} == {
        "orders.api.A",
        "orders.api.B",
    }
    finding = only(judge(growing(source, together)))
    assert {finding.retainer.path, *finding.retainer.also_held_by} == {"orders.api.A", "orders.api.B"}


@pytest.mark.parametrize("counts", [(30, 30, 30), (30, 60, 60), (40, 10, 35), (90, 60, 30)])
def test_controls_are_info_at_most(counts):
    found = growing(CACHE, lambda names, n: names["RESPONSES"].update({n: query_response(5)}), counts=counts)
    assert all(finding.severity == "info" for finding in judge(found))


def test_one_snapshot_never_says_more_than_medium():
    found = growing(CACHE, lambda names, n: names["RESPONSES"].update({n: query_response(5)}), counts=(40,))
    finding = only(judge(found))
    assert finding.severity == "medium"
    assert finding.growth.shape == "unknown"


def test_bounded_deque_and_projection():
    source = "LATEST = None\nTOTALS = {}\n"

    def fill(names, n):
        names["LATEST"] = names["LATEST"] or collections.deque(maxlen=8)
        names["LATEST"].append(query_response(1))
        names["TOTALS"][f"customer-{n % 7}"] = n

    assert all(finding.severity == "info" for finding in judge(growing(source, fill)))


# -- the registry ------------------------------------------------------------------------------------------------


def test_nothing_to_judge():
    assert judge(Evidence("empty")) == Findings("empty", 0, ())
    assert len(judge(evidence([heap(m={})]))) == 0


@pytest.mark.parametrize("rule", EVERY, ids=lambda rule: rule.id)
def test_each_rule_says_what_it_is(rule):
    assert rule.id and rule.title and rule.thresholds and type(rule).__doc__
    assert set(rule.needs) <= {"snapshots", "two snapshots", "process", "profiles", "responses"}
    assert rule.remediation.summary
    if rule in RULES:
        assert rule.severity in SEVERITIES
        assert all(name.startswith("API") and name.endswith(":2023") for name in rule.references.owasp)
        assert rule.references.owasp and rule.references.cwe
        assert rule.remediation.code


@pytest.mark.parametrize("rule", [rule for rule in EVERY if rule.remediation.code], ids=lambda rule: rule.id)
def test_remedies_compile(rule):
    assert rule.remediation.language == "python"
    tree = ast.parse(rule.remediation.code)
    compile(tree, rule.id, "exec")
    assert tree.body


def test_ids_are_those_of_the_catalogue_and_unique():
    ids = [rule.id for rule in EVERY]
    assert len(ids) == len(set(ids))
    catalogue = {f"L{n:02d}" for n in (*range(1, 13), 17, 18)} | {f"FP{n}" for n in range(1, 5)}
    assert catalogue <= set(ids)


class TestBoundedCacheRemedy:
    """The remedy for L03 does what it says."""

    names: ClassVar[dict] = {}

    def test_it_is_bounded(self):
        exec(next(rule for rule in RULES if rule.id == "L03").remediation.code, self.names)
        cache = self.names["BoundedCache"](maximum=3, seconds=60)
        for n in range(10):
            assert cache.get(n, lambda n=n: n + 1) == n + 1
        assert len(cache._entries) == 3
        assert cache.get(9, lambda: "loaded again") == 10


def test_readme_lists_every_rule_and_guard():
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    for rule in EVERY:
        assert f"| {rule.id} | {rule.title} |" in readme, rule.id


def test_readme_lists_every_pattern_of_go_and_rust():
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    for pattern in PATTERNS.values():
        assert f"| {pattern.id} | {pattern.title} |" in readme, pattern.id


# -- one element ----------------------------------------------------------------------------------------------------

LATEST = "LATEST = {}\ndef work(client):\n    LATEST['one'] = client.query(TableName='Orders')\n"


def snapshots_of(fill, sizes, source=LATEST):
    """One heap for each size, of the same namespace, whose values may be replaced or grow."""
    names, graphs = namespace(source), []
    for size in sizes:
        fill(names, size)
        graphs.append(heap(orders__api=names))
    return judge(evidence(graphs))


def test_the_latest_response_is_no_leak_however_large_it_is():
    found = snapshots_of(lambda names, n: names["LATEST"].update(one=query_response(n)), (10, 40, 80, 120))
    assert all(finding.severity == "info" for finding in found), found


def test_the_latest_items_are_no_leak_however_many_they_are():
    found = snapshots_of(lambda names, n: names["LATEST"].update(one=low_level_items(n)), (10, 40, 80, 120))
    assert all(finding.severity == "info" for finding in found), found


def test_one_more_thread_with_a_response_of_its_own_is_no_growth():
    def fill(names, count):
        names["LATEST"] = {n: query_response(60) for n in range(count)}

    assert all(finding.severity == "info" for finding in snapshots_of(fill, (1, 1, 1, 2)))


def test_one_response_that_takes_in_page_after_page_is_a_leak():
    def fill(names, count):
        whole = names["LATEST"].setdefault("one", query_response(1))
        whole["Items"].extend(low_level_items(count))

    finding = only(snapshots_of(fill, (40, 40, 40, 40)))
    assert finding.growth.shape == "growing" and finding.retainer.path == "orders.api.LATEST"


def test_one_list_that_takes_in_page_after_page_is_a_leak():
    finding = only(
        snapshots_of(
            lambda names, n: names["LATEST"].setdefault("one", []).extend(low_level_items(n)),
            (40, 40, 40, 40),
        )
    )
    assert (finding.growth.shape, finding.objects) == ("growing", 160)


def test_a_command_in_the_evidence_bears_the_path_that_was_given():
    here = Evidence("leaking", folder="captures/my service")
    assert here.command("show") == "check: forensics show 'captures/my service'"
    assert shlex.split(here.command("sql", "SELECT \"a;b\" '$c'"))[3:] == [
        "captures/my service",
        "SELECT \"a;b\" '$c'",
    ]
    assert Evidence("small").command("chains") == "check: forensics chains small"
    assert Evidence("x", folder="--json").command("show") == "check: forensics show ./--json"


@pytest.mark.parametrize(
    ("counts", "found"), [((10, 30, 50), True), ((0, 0, 50), False), ((10, 10, 50), False)]
)
def test_what_a_generator_holds_with_the_last_snapshot_alone_may_be_a_call_in_flight(counts, found):
    source = """
WORK = []
def read(client, rows):
    rows.extend(client.query(TableName="Orders")["Items"])
    yield rows
def start(rows):
    def reading():
        kept = rows
        yield kept
    generator = reading()
    next(generator)
    WORK.append(generator)
"""

    def fill(names, n):
        if not names["WORK"]:
            names["start"]([])
        next(iter(names["WORK"])).gi_frame.f_locals["kept"].append(query_response(4))

    told = [each for each in judge(growing(source, fill, counts=counts)) if each.severity != "info"]
    assert bool(told) == found, told
    if found:
        assert told[0].retainer.kind == "generator"


def test_what_an_object_of_the_sdk_keeps_beside_itself_counts_for_its_rate():
    source = "import boto3\nKEPT = []\ndef table(kept):\n    KEPT.append(kept)\n"

    def fill(names, n):
        names["table"](boto3.resource("dynamodb", region_name="eu-central-1").Table("Orders"))

    told = judge(growing(source, fill, counts=(2, 4, 6)))
    (finding,) = [each for each in told if each.rule == "L06"]
    each = finding.retained_bytes / 6
    assert each > 10_000  # its own classes and models
    assert finding.growth.bytes_per_second == pytest.approx(
        each * finding.growth.objects_per_second, rel=0.01
    )
    assert finding.severity == "high"  # it makes up most of this heap


@pytest.mark.parametrize(("runtime", "found"), [("python", True), ("node", False)])
def test_what_v8_took_for_a_snapshot_is_no_high_water_mark_of_the_service(runtime, found):
    still = growing("KEPT = []\n", lambda names, n: None)
    process = pd.DataFrame({"time": [0.0, 60.0], "rss": [104_000_000, 185_000_000]})
    taken = dataclasses.replace(
        still, runtime=runtime, process=process, manifest={**still.manifest, "counters": {"rss": 90_000_000}}
    )
    told = [each for each in judge(taken) if each.rule == "FP1"]
    assert bool(told) == found
    for each in told:
        assert "retains" not in each.to_text()


def test_what_the_service_makes_itself_was_fetched_by_no_call():
    source = "import boto3\nKEPT = []\ndef client(kept):\n    KEPT.append(kept)\n"

    def fill(names, n):
        names["client"](boto3.client("dynamodb", region_name="eu-central-1"))

    told = judge(growing(source, fill, counts=(2, 4, 6)))
    (finding,) = [each for each in told if each.rule == "L04"]
    assert "holds      6 x client\n" in finding.to_text()


@pytest.mark.parametrize(
    ("state", "exports", "also"),
    [
        (
            "from starlette.datastructures import State\nSTATE = State({'exports': []})\n",
            "STATE.exports",
            False,
        ),
        ("STATE = {'exports': []}\n", "STATE['exports']", True),
    ],
)
def test_an_attribute_of_a_state_is_no_entry_of_a_cache(state, exports, also):
    source = f"{state}def keep(response):\n    {exports}.append(response)\n"
    told = only(judge(growing(source, lambda names, n: names["keep"](query_response(3)))))
    assert any("L03" in line for line in (told.rule, *told.evidence)) == also
