"""Patterns of Go and Rust by handlers' allocations and by goroutines; frames as the real SDKs show them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from forensics.findings import Finding
from forensics.profiles.builder import ProfileBuilder
from forensics.profiles.frames import room_of
from forensics.profiles.handlers import plain_name, run_of
from forensics.profiles.model import Frame, Origin
from forensics.report.card import findings_cards
from forensics.rules import Evidence, judge
from forensics.rules.by_handlers import PATTERNS
from forensics.rules.by_handlers.goroutines import created_by
from forensics.rules.by_handlers.series import shape_of
from forensics.verify import verify

SDK = "github.com/aws/aws-sdk-go-v2/service/dynamodb"
SMITHY = "github.com/aws/smithy-go"


def go(*functions: str) -> list[Frame]:
    """Frames with files as ``-trimpath`` leaves them: a version stands in those of modules."""
    frames = []
    for number, name in enumerate(functions):
        package = name.rpartition("/")[2].split(".")[0]
        version = "@v1.2.3" if name.startswith("github.com/") else ""
        frames.append(Frame(name, f"{package}{version}/file.go", 10 + number))
    return frames


LIST = go(
    "main.(*store).query",
    "main.(*api).listOrders",
    "github.com/labstack/echo/v4.(*Echo).add.func1",
    "net/http.(*conn).serve",
)
DATA = go(
    f"{SDK}.deserializeAttributeMap.func1",
    f"{SMITHY}.ReadMap",
    f"{SDK}.deserializeAttributeMap",
    f"{SDK}.(*QueryOutput).Deserialize",
    f"{SDK}.(*Client).Query",
)
TEXT = go(
    f"{SMITHY}/internal/serde.(*StringArena).String",
    f"{SMITHY}/transport/http/protocol/json.(*ShapeDeserializer).ReadString",
    f"{SDK}.(*Client).Query",
)
BINARY = go(
    "encoding/base64.(*Encoding).DecodeString",
    f"{SMITHY}/transport/http/protocol/internal/json.(*ShapeDeserializer).ReadBlob",
    f"{SDK}/types.(*AttributeValueMemberB).Deserialize",
    f"{SDK}.deserializeAttributeMap",
    f"{SDK}.(*QueryOutput).Deserialize",
    f"{SDK}.(*Client).Query",
)
META = go(f"{SMITHY}/middleware.(*Metadata).Set", f"{SDK}.(*Client).Query")
RETRY = go(
    "runtime.growslice",
    "github.com/aws/aws-sdk-go-v2/aws/retry.(*Attempt).HandleFinalize",
    f"{SDK}.(*Client).Query",
)
CONFIG = go("github.com/aws/aws-sdk-go-v2/config.LoadDefaultConfig")
CLIENT = go(f"{SDK}.New", f"{SDK}.NewFromConfig")
PAGE = [*DATA, *go(f"{SDK}.(*QueryPaginator).NextPage")]
CREDENTIALS = go(
    "container/list.(*List).PushFront", "github.com/aws/smithy-go/container/private/cache/lru.(*lru).Put"
)
MAP = go("runtime.mapassign_faststr")
RUST = [
    Frame("orders::store::Store::query_orders::{{closure}}", "orders/src/store.rs", 60),
    Frame("axum_leaking::list_orders::{{closure}}", "axum/src/leaking.rs", 80),
    Frame(
        "<F as axum::handler::Handler<T,S>>::call::{{closure}}",
        "/home/orders/.cargo/registry/src/x/axum-0.8/src/handler.rs",
        1,
    ),
]
RUST_DATA = [
    Frame("hashbrown::raw::RawTable<T,A>::reserve_rehash", "", 0),
    Frame("aws_sdk_dynamodb::protocol_serde::shape_attribute_map::de_attribute_map", "", 0),
]
RUST_BINARY = [
    Frame("base64_simd::heap::decode_to_boxed_bytes", "/registry/src/x/base64-simd-0.8.0/src/heap.rs", 68),
    Frame("aws_smithy_types::base64::decode", "", 0),
    Frame("aws_smithy_json::deserialize::token::expect_blob_or_null", "", 0),
    Frame("aws_sdk_dynamodb::protocol_serde::shape_attribute_value::de_attribute_value", "", 0),
]
RUST_STRING = [
    Frame("alloc::slice::to_vec", "", 0),
    Frame("alloc::borrow::Cow<B>::into_owned", "", 0),
    Frame("aws_sdk_dynamodb::protocol_serde::shape_attribute_value::de_attribute_value", "", 0),
]
RUST_ITEM_OF_ERROR = [
    Frame("hashbrown::raw::RawTable<T,A>::reserve_rehash", "", 0),
    Frame("aws_sdk_dynamodb::protocol_serde::shape_attribute_map::de_attribute_map", "", 0),
    Frame("aws_sdk_dynamodb::protocol_serde::shape_put_item::de_put_item_http_error", "", 0),
]
RUST_WORDS = [
    Frame("alloc::str::to_owned", "", 0),
    Frame("aws_smithy_types::error::metadata::Builder::custom", "", 0),
    Frame("aws_sdk_dynamodb::protocol_serde::parse_http_error_metadata", "", 0),
]
RUST_HEADERS = [
    Frame("http::header::map::HeaderMap<T>::try_reserve", "", 0),
    Frame("aws_smithy_runtime_api::http::response::Response<B>::try_from", "", 0),
]
RUST_CHANNEL = [
    Frame("tokio::sync::mpsc::block::Block<T>::new", "", 0),
    Frame("tokio::sync::mpsc::unbounded::UnboundedSender<T>::send", "", 0),
]
RUST_TASK = [
    Frame("tokio::runtime::task::core::Cell<T,S>::new", "", 0),
    Frame("tokio::task::spawn::spawn", "", 0),
]
RUST_IDENTITIES = [
    Frame("hashbrown::raw::RawTable<T,A>::reserve_rehash", "", 0),
    Frame("aws_smithy_runtime::client::identity::cache::lazy::CachePartitions::partition", "", 0),
]
RUST_MAP = [
    Frame("hashbrown::raw::RawTable<T,A>::reserve_rehash", "", 0),
    Frame("std::collections::hash::map::HashMap<K,V,S>::insert", "", 0),
]


def profile(runtime, sizes, *, at, measure="live", goroutines=False):
    builder = ProfileBuilder(("live", "allocated") if measure == "both" else ("live",))
    for frames, size, *block in sizes:
        values = {"live": (0, size) if goroutines else (size, max(size // (*block, 100)[0], 1))}
        if measure == "both":
            values["allocated"] = (size * at // 1000, 1)
        builder.add(builder.stack(builder.frame(each) for each in frames), values)
    return builder.build(Origin("pprof", runtime, start=float(at)))


def evidence(growing, *, runtime="go", own=LIST, steady=(), stuck=(), text=None, measure="live"):
    """Four profiles: each stack of ``growing`` (frames, bytes in all) grows evenly, those of ``steady`` stay.

    A third figure is the mean size of its blocks; 100 bytes where there is none.
    """
    profiles, goroutines = [], []
    for number in range(4):
        sizes = [([*frames, *own], size * number // 3, *block) for frames, size, *block in growing]
        sizes += [([*frames, *own], size) for frames, size in steady]
        profiles.append(profile(runtime, sizes, at=1000 + 10 * number, measure=measure))
        if stuck:
            waiting = [(frames, count * (number + 1)) for frames, count in stuck]
            goroutines.append(profile("go", waiting, at=1000 + 10 * number, goroutines=True))
    return Evidence("c", runtime=runtime, profiles=profiles, goroutines=goroutines, goroutine_text=text)


GO_CASES = [
    ("L01", [(DATA, 9_000_000), (META, 600_000)]),
    ("L03", [(DATA, 9_000_000)]),
    ("L02", [(PAGE, 9_000_000), (META, 10_000)]),
    ("L04", [(CLIENT, 900_000)]),
    ("L05", [(CONFIG, 9_000_000), (CLIENT, 100_000)]),
    ("L11", [(META, 900_000)]),
    ("L13", [(TEXT, 900_000)]),
    ("L15", [(CREDENTIALS, 900_000)]),
    ("L16", [(RETRY, 900_000)]),
    ("L03", [(MAP, 900_000)]),
    ("G01", [(go("strings.Clone"), 900_000)]),
]
RUST_CASES = [
    ("L15", [(RUST_IDENTITIES, 900_000)]),
    ("L01", [(RUST_DATA, 9_000_000)]),
    ("L03", [(RUST_DATA, 9_000_000), (RUST_MAP, 100_000)]),
    ("L14", [(RUST_DATA, 9_000_000), (RUST_CHANNEL, 100_000)]),
    ("L09", [(RUST_DATA, 9_000_000), (RUST_TASK, 100_000)]),
    # errors, with the item that was in the way, and without
    ("L16", [(RUST_ITEM_OF_ERROR, 2_000_000), (RUST_HEADERS, 400_000)]),
    ("L16", [(RUST_WORDS, 200_000), (RUST_HEADERS, 1_000_000)]),
    ("L11", [(RUST_HEADERS, 1_000_000)]),
]


@pytest.mark.parametrize(("rule", "growing"), GO_CASES, ids=[rule for rule, _ in GO_CASES])
def test_go(rule, growing):
    (finding,) = judge(evidence(growing))
    assert (finding.rule, finding.retainer.path) == (rule, "main.(*api).listOrders")
    assert finding.growth.shape == "growing" and finding.growth.bytes_per_second == pytest.approx(
        sum(size for _, size in growing) / 30, rel=0.01
    )
    assert finding.remediation.language == "go" and "allocates" in finding.title


def test_a_finding_says_how_much_of_what_is_allocated_stays():
    """9 MB stay in 30 s, 0.3 MB a second; in two profiles of 5 s each 10 and 20 MB were allocated, 3 MB a second.

    A third saw no collection, so that it tells nothing.
    """
    rates = []
    for begin, megabytes in ((1000, 10), (1010, 20), (1020, 0)):
        builder = ProfileBuilder(("allocated",))
        stack = builder.stack(builder.frame(each) for each in [*DATA, *LIST])
        builder.add(stack, {"allocated": (megabytes * 1_000_000, 1)})
        rates.append(builder.build(Origin("pprof", "go", start=float(begin), end=begin + 5.0)))
    (finding,) = judge(dataclasses.replace(evidence([(DATA, 9_000_000)]), rates=rates))
    said = next(line for line in finding.evidence if "freed or not" in line)
    assert "2.86 MiB/s at least" in said and "at most 10% of it stays" in said
    (without,) = judge(evidence([(DATA, 9_000_000)]))
    assert not any("freed or not" in line for line in without.evidence)


def test_elements_that_were_not_counted_are_not_told(tmp_path):
    """jemalloc's pprof has bytes and no counts: no number of elements anywhere, and 0 least of all."""
    profiles = []
    for number in range(3):
        builder = ProfileBuilder(("live",), counted=False)
        frames = map(builder.frame, [*RUST_DATA, Frame("orders::list_orders", "src/main.rs", 3)])
        builder.add(builder.stack(frames), {"live": (4_000_000 * (number + 1), 0)})
        profiles.append(builder.build(Origin("pprof", "rust", start=1000.0 + 10 * number)))
    found = judge(Evidence("c", runtime="rust", profiles=profiles))
    (finding,) = found
    assert finding.objects is None and finding.growth.objects_per_second is None
    assert "11.44 MiB\n" in finding.to_text() and "element" not in finding.to_text()
    assert '"objects": 0' in found.to_json() and Finding.from_dict(finding.to_dict()) == finding
    assert found.to_pandas()["elements"].isna().all()
    assert "element" not in findings_cards(found)
    (alone,) = judge(Evidence("c", runtime="rust", profiles=profiles[2:]))
    assert alone.objects is None and "element" not in alone.to_text()


@pytest.mark.parametrize(("rule", "growing"), RUST_CASES, ids=[rule for rule, _ in RUST_CASES])
def test_rust(rule, growing):
    (finding,) = judge(evidence(growing, runtime="rust", own=RUST))
    assert (finding.rule, finding.retainer.path) == (rule, "axum_leaking::list_orders")
    assert finding.retainer.file == "src/leaking.rs" and finding.retainer.line == 80
    assert finding.remediation.language == "rust"


@pytest.mark.parametrize(
    ("runtime", "binary", "data", "own"), [("go", BINARY, DATA, LIST), ("rust", RUST_BINARY, RUST_DATA, RUST)]
)
def test_large_values_are_told_beside_the_finding(runtime, binary, data, own):
    """L17 beside the rule that says how they are kept, with the remedy and the references of both."""
    (finding,) = judge(evidence([(binary, 7_200_000, 24_000), (data, 2_400_000)], runtime=runtime, own=own))
    (said,) = [line for line in finding.evidence if line.startswith("also L17: ")]
    assert (
        "300 values of about 23.4 KiB make up 75% of what grew" in said and "project the attributes" in said
    )
    main, other = PATTERNS[finding.rule], PATTERNS["L17"]
    assert finding.rule in ("L01", "L03")
    for pattern in (main, other):
        assert pattern.remedies[runtime].code in finding.remediation.code
        assert set(pattern.references.cwe) <= set(finding.references.cwe)
    assert finding.remediation.language == runtime


@pytest.mark.parametrize(
    ("runtime", "growing", "own"),
    [
        # values of some kB, most of what grew; large ones, and little of it
        ("go", [(BINARY, 7_200_000, 9_000), (DATA, 2_400_000)], LIST),
        ("go", [(BINARY, 1_000_000, 24_000), (DATA, 2_400_000)], LIST),
        # blocks of the strings' arena, and a map or list that grew large
        ("go", [(TEXT, 9_000_000, 4_096), (DATA, 9_000_000, 200_000)], LIST),
        ("go", [(MAP, 9_000_000, 1_000_000)], LIST),
        ("rust", [(RUST_DATA, 9_000_000, 200_000), (RUST_STRING, 100_000)], RUST),
    ],
)
def test_what_is_no_large_value(runtime, growing, own):
    (finding,) = judge(evidence(growing, runtime=runtime, own=own))
    assert not any("L17" in line for line in finding.evidence), finding
    assert PATTERNS["L17"].remedies[runtime].code not in finding.remediation.code


def test_large_strings_alone_pin_no_block():
    (small,) = judge(evidence([(TEXT, 9_000_000, 4_096)]))
    (large,) = judge(evidence([(TEXT, 9_000_000, 30_000)]))
    assert (small.rule, large.rule) == ("L13", "L03")
    assert any("also L17: 300 values" in line for line in large.evidence)


def test_sizes_of_values_without_counts():
    """jemalloc's pprof has bytes alone; by figures that it wrote for values of 24,000 bytes, and for short strings."""
    figures = {
        RUST_BINARY[0]: ([31861, 127444, 254889, 446056], [0, 31861, 127444, 254889]),
        RUST_STRING[0]: ([16392, 16392, 16392, 32780],),
    }
    profiles = []
    for number in range(4):
        builder = ProfileBuilder(("live",), counted=False)
        for frames in (RUST_BINARY, RUST_STRING):
            for turn, levels in enumerate(figures[frames[0]]):
                stack = [*frames, *RUST, Frame("tokio::runtime::task::run", "", turn)]
                if levels[number]:
                    builder.add(builder.stack(map(builder.frame, stack)), {"live": (levels[number], 0)})
        origin = Origin("pprof", "rust", start=1000.0 + 10 * number, sampling_period=1 << 14)
        profiles.append(builder.build(origin))
    (finding,) = judge(Evidence("c", runtime="rust", profiles=profiles))
    (said,) = [line for line in finding.evidence if line.startswith("also L17: ")]
    assert "29 values of about 24 KiB" in said and "at least, by the weights" in said, said
    assert "sampled, within 31%" in said, said


def test_goroutines_are_joined_with_the_call_that_began_them():
    stuck = [(go("runtime.gopark", "runtime.chanrecv", "main.wait"), 20)]
    text = (
        "goroutine 7 [chan receive]:\nmain.wait(0xc000, 0x1)\n\t/x/a.go:1 +0x1\n"
        "created by main.(*api).listOrders in goroutine 5\n\t/x/a.go:9 +0x2\n"
    )
    (finding,) = judge(evidence([(DATA, 9_000_000)], stuck=stuck, text=text))
    assert (finding.rule, finding.retainer.path, finding.retainer.kind) == ("L09", "main.wait", "goroutine")
    assert finding.retainer.chain[0] == "main.(*api).listOrders" and finding.dynamodb.operation == "Query"
    assert any("a channel to receive from: 20 → 40 → 60 → 80" in line for line in finding.evidence)


def test_goroutines_alone_are_a_finding():
    (finding,) = judge(
        evidence(
            [],
            steady=[(DATA, 1000)],
            stuck=[(go("runtime.gopark", "sync.(*WaitGroup).Wait", "main.wait"), 20)],
        )
    )
    assert (finding.rule, finding.retainer.path, finding.objects) == ("L09", "main.wait", 80)


def test_connections_that_pile_up():
    loops = [
        (go("runtime.gopark", "runtime.selectgo", f"net/http.(*persistConn).{name}"), 20)
        for name in ("readLoop", "writeLoop")
    ]
    found = judge(evidence([], steady=[(DATA, 1000)], stuck=loops))
    assert {finding.rule for finding in found} == {"L10"}


def test_stacks_that_end_early_come_with_advice():
    (finding,) = judge(evidence([(DATA, 9_000_000)], own=[]))
    assert "not on the stack" in finding.retainer.path and finding.confidence < 0.7
    assert any("profstackdepth=1024" in line for line in finding.evidence)


@pytest.mark.parametrize(
    ("sizes", "period", "shape"),
    [
        ([5e6, 5e6, 5e6, 5e6], 0, "plateau"),
        ([5e6, 6e6, 7e6, 8e6], 0, "growing"),
        ([1e6, 4e6, 5e6, 5e6], 0, "plateau"),
        ([5e6, 4e6, 3e6, 2e6], 0, "shrinking"),
        ([5e6, 7e6, 4e6, 6e6], 524288, "plateau"),
        ([0, 1e5], 0, "plateau"),
        ([5e6], 0, "unknown"),
        # calls in flight at the last profile, or a leak that has just begun
        ([0, 0, 0, 3e5], 16384, "unknown"),
        ([1e6, 1e6, 5e6], 0, "unknown"),
        ([0, 1e5, 3e5], 0, "growing"),
    ],
)
def test_shapes(sizes, period, shape):
    assert shape_of(np.array(sizes), period) == shape


def test_a_bounded_cache_and_a_startup_table_are_no_findings():
    assert not judge(evidence([], steady=[(DATA, 9_000_000)])).at_least("low")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("main.(*api).watch.func1", "main.(*api).watch"),
        ("main.(*api).watch.func2.1", "main.(*api).watch"),
        ("main.keep[go.shape.string]", "main.keep"),
        ("orders::api::list::{{closure}}::{{closure}}", "orders::api::list"),
        ("orders::api::list::h0123456789abcdef", "orders::api::list"),
    ],
)
def test_closures_bear_the_name_of_their_function(name, plain):
    assert plain_name(name) == plain


def test_the_handler_is_next_to_the_allocation_and_not_the_middleware():
    frames = [*DATA, *LIST[:3], *go("main.logged.func1", "github.com/labstack/echo/v4.(*Echo).ServeHTTP")]
    run = run_of(frames, [room_of(each.function, each.file, "go") for each in frames])
    assert run.handler.function == "main.(*api).listOrders" and run.entry.function == "main.(*store).query"


def test_who_began_a_goroutine():
    text = (
        "goroutine 1 [running]:\nmain.main()\n\t/x:1\n\n"
        "goroutine 9 [select, 3 minutes]:\nnet/http.(*persistConn).writeLoop(0xc0)\n\t/x:2\n"
        "created by net/http.(*Transport).dialConn in goroutine 3\n\t/x:3\n"
    )
    assert created_by(text) == {"net/http.(*persistConn).writeLoop": {"net/http.(*Transport).dialConn": 1}}
    assert created_by("no such text") == {}


def test_verify_by_handlers():
    leaking = evidence([(DATA, 9_000_000)], measure="both")
    asked = evidence([], steady=[(DATA, 50_000)], measure="both")
    other = go("main.(*api).other")
    unasked = evidence([], steady=[(DATA, 50_000)], own=other, measure="both")
    assert verify(leaking, asked).verdict == "fixed"
    assert verify(leaking, leaking).verdict == "not fixed"
    half = verify(leaking, evidence([(DATA, 2_000_000)], measure="both"))
    assert half.verdict == "better"
    assert verify(leaking, unasked).verdict == "cannot tell", "the handler was not asked"
    new = verify(asked, evidence([(DATA, 9_000_000)], own=other, measure="both"))
    assert new.verdict == "not fixed" and "does not have" in new.causes[0].reason


def test_patterns_are_whole():
    for pattern in PATTERNS.values():
        assert pattern.title and pattern.references.cwe and pattern.remedies
        assert all(remedy.summary and remedy.language == name for name, remedy in pattern.remedies.items())
