"""L01–L05 and L16 by stacks, FP1, FP2 and FP3 by series and profiles; stacks as the real SDKs show them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forensics import formats
from forensics.profiles.builder import ProfileBuilder
from forensics.profiles.model import Frame, Origin
from forensics.rules import STACK_RULES, Evidence, judge, stacks

DATA = Path(__file__).parents[2] / "data" / "profiles"

DYNAMO = "github.com/aws/aws-sdk-go-v2/service/dynamodb"
GO_APP = Frame("main.fetchPage", "/srv/orders/main.go", 41)
GO_MAIN = Frame("main.main", "/srv/orders/main.go", 90)
SITE = "/usr/lib/python3/dist-packages"
PY_APP = Frame("fetch_page", "/srv/orders/db.py", 41)

#: (runtime, stack innermost first, rule that must speak)
STACKS = [
    ("go", [Frame("encoding/json.unquote", "/usr/local/go/src/encoding/json/decode.go", 1),
            Frame(f"{DYNAMO}.awsAwsjson10_deserializeDocumentAttributeValue", "/go/pkg/mod/x/deserializers.go", 9),
            Frame(f"{DYNAMO}.(*awsAwsjson10_deserializeOpQuery).HandleDeserialize", "/go/pkg/mod/x/d.go", 2),
            Frame("github.com/aws/aws-sdk-go-v2/aws/retry.(*Attempt).HandleFinalize", "/go/pkg/mod/r.go", 2),
            Frame(f"{DYNAMO}.(*Client).Query", "/go/pkg/mod/x/api_op_Query.go", 30), GO_APP, GO_MAIN], "L03"),
    ("go", [Frame(f"{DYNAMO}.awsAwsjson10_deserializeDocumentItemList", "/go/pkg/mod/x/d.go", 9),
            Frame(f"{DYNAMO}.(*QueryPaginator).NextPage", "/go/pkg/mod/x/api_op_Query.go", 60), GO_APP], "L02"),
    ("go", [Frame("runtime.mapassign_faststr", "/usr/local/go/src/runtime/map_faststr.go", 1), GO_APP], "L03"),
    ("go", [Frame(f"{DYNAMO}.New", "/go/pkg/mod/x/api_client.go", 9),
            Frame(f"{DYNAMO}.NewFromConfig", "/go/pkg/mod/x/api_client.go", 5), GO_APP], "L04"),
    ("go", [Frame("github.com/aws/aws-sdk-go-v2/config.LoadDefaultConfig", "/go/pkg/mod/c.go", 5), GO_APP], "L05"),
    ("go", [Frame("runtime.growslice", "/usr/local/go/src/runtime/slice.go", 5),
            Frame("github.com/aws/aws-sdk-go-v2/aws/retry.(*Attempt).HandleFinalize", "/go/pkg/mod/r.go", 2),
            Frame(f"{DYNAMO}.(*Client).PutItem", "/go/pkg/mod/x/api_op_PutItem.go", 30), GO_APP], "L16"),
    ("python", [Frame("raw_decode", "/usr/lib/python3.11/json/decoder.py", 353),
                Frame("_parse_body_as_json", f"{SITE}/botocore/parsers.py", 774),
                Frame("_api_call", f"{SITE}/botocore/client.py", 600), PY_APP], "L01"),
    ("python", [Frame("raw_decode", "/usr/lib/python3.11/json/decoder.py", 353),
                Frame("load_file", f"{SITE}/botocore/loaders.py", 1),
                Frame("create_client", f"{SITE}/botocore/session.py", 900),
                Frame("client", f"{SITE}/boto3/session.py", 300), PY_APP], "L05"),
    ("python", [Frame("create_client", f"{SITE}/botocore/client.py", 100),
                Frame("create_client", f"{SITE}/botocore/session.py", 900),
                Frame("client", f"{SITE}/boto3/session.py", 300), PY_APP], "L04"),
    ("rust", [Frame("alloc::vec::Vec<T,A>::push", "", 0),
              Frame("aws_sdk_dynamodb::protocol_serde::shape_attribute_value::de_attribute_value", "", 0),
              Frame("aws_sdk_dynamodb::protocol_serde::shape_query::de_query", "", 0),
              Frame("orders::db::fetch_page", "src/db.rs", 41)], "L01"),
    ("rust", [Frame("aws_sdk_dynamodb::client::Client::from_conf", "", 0),
              Frame("orders::db::connect", "src/db.rs", 12)], "L04"),
]  # fmt: skip


def profile(runtime, stacks, *, start=0.0):
    builder = ProfileBuilder(("live",))
    for frames, size in stacks:
        builder.add(builder.stack(builder.frame(each) for each in frames), {"live": (size, size // 100)})
    return builder.build(Origin("pprof", runtime, start=start))


def findings(runtime, stacks, before, after):
    profiles = [profile(runtime, [(each, size) for each in stacks], start=moment)
                for size, moment in ((before, 1000.0), (after, 1100.0))]  # fmt: skip
    return judge(Evidence("capture", runtime=runtime, profiles=profiles))


@pytest.mark.parametrize(
    ("runtime", "stack", "rule"), STACKS, ids=[f"{runtime}-{rule}" for runtime, _, rule in STACKS]
)
def test_pattern(runtime, stack, rule):
    found = findings(runtime, [stack], 1_000_000, 9_000_000)
    assert [each.rule for each in found] == [rule]
    one = found[0]
    assert one.growth.shape == "growing" and one.growth.bytes_per_second == 80_000
    assert one.retainer.kind == "allocation-site" and one.retainer.line == next(
        frame.line for frame in stack if "orders" in frame.file or frame.file.startswith("src/")
    )
    assert one.remediation.summary
    assert any("who allocated it, not who holds it" in line for line in one.evidence)


def test_operation_is_named():
    found = findings("go", [STACKS[0][1]], 1_000_000, 9_000_000)
    assert found[0].dynamodb.operation == "Query"
    assert found[0].title.startswith("main.fetchPage → Query allocates 8.58 MiB")


@pytest.mark.parametrize(
    ("before", "after"), [(50_000_000, 50_100_000), (50_000_000, 40_000_000), (0, 900_000)]
)
def test_what_does_not_grow_is_no_finding(before, after):
    assert len(findings("go", [STACKS[0][1]], before, after)) == 0


def test_growth_within_the_sampling_error_is_none():
    stacks = STACKS[0][1]
    profiles = [profile("go", [(stacks, size)]) for size in (10_000_000, 13_000_000)]
    object.__setattr__(profiles[0].origin, "sampling_period", 524288)
    assert len(judge(Evidence("capture", runtime="go", profiles=profiles))) == 0


def test_one_profile_is_never_more_than_medium():
    found = judge(Evidence("capture", runtime="go", profiles=[profile("go", [(STACKS[0][1], 50_000_000)])]))
    assert [each.severity for each in found] == ["medium"] and found[0].growth.shape == "unknown"


def test_application_of_its_own_is_no_dynamodb_finding():
    """The recipe in Go retains strings of its own making: growth, and nothing of DynamoDB."""
    profiles = [formats.load(DATA / f"go-{name}.pb.gz") for name in ("before", "after")]
    found = judge(Evidence("capture", runtime="go", profiles=profiles))
    assert all(each.dynamodb is None for each in found)


def test_allocated_is_not_held():
    """FP2: the same live bytes, ever more allocated."""

    def both(live, allocated):
        builder = ProfileBuilder(("live", "allocated"))
        stack = builder.stack(builder.frame(each) for each in STACKS[0][1])
        builder.add(stack, {"live": (live, 1), "allocated": (allocated, 9)})
        return builder.build(Origin("pprof", "go"))

    found = judge(
        Evidence("c", runtime="go", profiles=[both(5_000_000, 10_000_000), both(5_000_000, 90_000_000)])
    )
    assert [(each.rule, each.severity) for each in found] == [("FP2", "info")]


def lag(*live, runtime="go", period=None):
    profiles = [profile(runtime, [(STACKS[0][1], size)], start=1000.0 + k) for k, size in enumerate(live)]
    for each in profiles:
        object.__setattr__(each.origin, "sampling_period", period)
    return judge(Evidence("c", runtime=runtime, profiles=profiles))


@pytest.mark.parametrize(
    "live",
    [(60_000_000, 20_000_000), (20_000_000, 60_000_000, 21_000_000), (20_000_000, 60_000_000, 19_000_000)],
)
def test_gone_in_a_later_profile_is_collector_lag(live):
    """FP3 by profiles: what was live, and is gone once the collector has run."""
    (found,) = lag(*live)
    assert (found.rule, found.severity, found.remediation.language) == ("FP3", "info", "go")
    assert any("main.fetchPage" in line and "gone again" in line for line in found.evidence)
    assert "57.2 MiB → " in " ".join(found.evidence)
    assert "gc.collect()" in lag(*live, runtime="python")[0].remediation.code


@pytest.mark.parametrize(
    ("live", "period"),
    [
        ((20_000_000, 60_000_000, 40_000_000), None),  # half of it stayed
        ((20_000_000, 20_400_000, 20_000_000), None),  # next to nothing
        ((4_000_000, 6_000_000, 4_000_000), 524288),  # within the sampling error
        ((20_000_000, 20_000_000), None),
    ],
)
def test_what_stays_or_hardly_moves_is_no_collector_lag(live, period):
    assert not [each for each in lag(*live, period=period) if each.rule == "FP3"]


def test_high_water_mark_by_series():
    """FP1 without an object graph: the resident set stays where a burst left it."""
    t = np.arange(120.0)
    in_use = 6e7 + 2e8 * ((t > 30) & (t < 40))
    process = pd.DataFrame(
        {"time": t, "rss": 1e8 + 2e8 * (t > 30), "malloc_in_use": in_use, "python_blocks": 0 * t}
    )
    found = judge(Evidence("c", runtime="go", process=process))
    assert [(each.rule, each.severity) for each in found] == [("FP1", "info")]
    assert "high-water mark" in found[0].title


def test_rules_are_whole():
    for rule in STACK_RULES:
        assert rule.title and rule.references.cwe
        assert set(rule.remedies) == set(rule.runtimes)
        assert all(remedy.summary and remedy.code for remedy in rule.remedies.values())


def test_readme_lists_every_stack_rule():
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    for rule in STACK_RULES:
        assert f"| {rule.id} | {rule.title} | {', '.join(rule.runtimes)} |" in readme, rule.id


def test_every_stack_rule_stands_in_a_file_of_its_own():
    files = sorted(path.stem.partition("_")[0] for path in Path(stacks.__file__).parent.glob("l*.py"))
    assert files == sorted(rule.id.lower() for rule in STACK_RULES)
