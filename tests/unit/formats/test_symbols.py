"""Names for addresses: of a running program that gcc made, and of frames as addr2line gives them for Rust."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from forensics import formats
from forensics.formats import symbols
from forensics.formats.pprof_schema import Profile
from forensics.formats.rust_names import whole_names
from forensics.profiles.room import Room
from forensics.profiles.rust_frames import room_of_rust
from tests.conftest import require

#: It tells the address that a call returns to, in a function that was inlined, and waits.
SOURCE = """\
#include <stdio.h>
__attribute__((noinline)) void *probe(void) { return __builtin_return_address(0); }
static inline __attribute__((always_inline)) void *fetch_page(void) {
    void *at = probe();
    return at;
}
__attribute__((noinline)) void *list_orders(void) { return fetch_page(); }
int main(void) {
    printf("%p\\n", list_orders());
    fflush(stdout);
    return getchar() == EOF;
}
"""


@pytest.fixture(params=["-pie", "-no-pie"])
def program(request, tmp_path):
    gcc = require("gcc", "the test compiles a program")
    require("addr2line", "binutils bring it")
    source, built = tmp_path / "orders.c", tmp_path / "orders"
    source.write_text(SOURCE)
    pic = "-fPIE" if request.param == "-pie" else "-fno-pie"
    subprocess.run([gcc, "-g", "-O1", pic, request.param, "-o", built, source], check=True)
    with subprocess.Popen([built], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        yield running, int(running.stdout.readline(), 16)
        running.communicate("\n")


def profile_of(address: int, to: Path) -> Path:
    profile = Profile()
    profile.string_table.extend(["", "inuse_space", "bytes"])
    profile.sample_type.add(type=1, unit=2)
    profile.location.add(id=1, address=address)
    profile.sample.add(value=[4096], location_id=[1])
    to.write_bytes(profile.SerializeToString())
    return to


def test_addresses_of_a_live_program_get_names_with_inlined_frames(program, tmp_path):
    running, address = program
    path = profile_of(address, tmp_path / "heap.pb.gz")
    assert symbols.needed(formats.load(path))
    assert "addr2line" in symbols.symbolise(path, running.pid)
    named = formats.load(path)
    assert not symbols.needed(named)
    (frames,) = [named.stack(number) for number in range(len(named.stack_offsets) - 1) if named.stack(number)]
    assert [(frame.function, Path(frame.file).name, frame.line) for frame in frames] == [
        ("fetch_page", "orders.c", 4),
        ("list_orders", "orders.c", 7),
    ]


def test_addresses_elsewhere_are_left_as_they_are(program, tmp_path):
    running, _ = program
    path = profile_of(0x10, tmp_path / "heap.pb")
    before = path.read_bytes()
    assert symbols.symbolise(path, running.pid) is None
    assert path.read_bytes() == before and formats.load(path).frames[0].function == "0x10"


FETCHED = "/home/orders/.cargo/registry/src/index-1949cf8c6b5b557f"
STANDARD = "/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library"


def test_short_names_of_rust_are_made_whole():
    """As GNU addr2line 2.40 answers for code with ``debug = "line-tables-only"``; one address each."""
    assert whole_names(
        [
            ("hashbrown::map::HashMap<K,V,S,A>::insert", "/rust/deps/hashbrown-0.16.1/src/raw/mod.rs", 962),
            ("find_or_find_insert_index<A::B>", "/rust/deps/hashbrown-0.16.1/src/map.rs", 1863),
            ("insert<alloc::string::String>", "/rust/deps/hashbrown-0.16.1/src/map.rs", 1843),
        ]
    ) == (
        ("hashbrown::raw::?", "/rust/deps/hashbrown-0.16.1/src/raw/mod.rs", 962),
        ("hashbrown::map::find_or_find_insert_index", "/rust/deps/hashbrown-0.16.1/src/map.rs", 1863),
        ("hashbrown::map::HashMap<K,V,S,A>::insert", "/rust/deps/hashbrown-0.16.1/src/map.rs", 1843),
    )
    handler = "axum_leaking::export::{async_fn_env#0}"
    assert [
        name
        for name, _, _ in whole_names(
            [
                (
                    "<F as axum::handler::Handler<T,S>>::call::{{closure}}",
                    f"{STANDARD}/alloc/src/boxed.rs",
                    1,
                ),
                ("{async_fn#0}", "/srv/orders/src/store.rs", 113),
                ("{async_fn#0}", "/srv/axum/src/leaking.rs", 90),
                (
                    f"{{async_block#0}}<fn() -> {handler}, {handler}>",
                    f"{FETCHED}/axum-0.8.9/src/handler/mod.rs",
                    2,
                ),
            ]
        )
    ] == [
        "alloc::boxed::?",
        "orders/src/store.rs:113",
        "axum_leaking::export::{{closure}}",
        "<F as axum::handler::Handler<T,S>>::call::{{closure}}",
    ]


def test_whole_names_stay_as_they_are():
    lines = (
        ("orders::store::Store::get_order::{{closure}}", "/srv/orders/src/store.rs", 79),
        ("actix_leaking::label::{{closure}}", "/srv/actix/src/leaking.rs", 99),
    )
    assert whole_names(lines) == lines


@pytest.mark.parametrize(
    ("function", "file", "room"),
    [
        ("{async_fn#0}", "/srv/axum/src/leaking.rs", Room.APPLICATION),
        ("actix_leaking::label::{{closure}}", "", Room.APPLICATION),
        ("<orders::Summary as serde::ser::Serialize>::serialize", "", Room.APPLICATION),
        ("<F as axum::handler::Handler<(M,T1),S>>::call::{{closure}}", "", Room.FRAMEWORK),
        ("poll<axum_leaking::export>", f"{FETCHED}/tower-0.5.3/src/util/oneshot.rs", Room.FRAMEWORK),
        ("{closure#1}", f"{FETCHED}/aws-smithy-runtime-1.16.2/src/client/orchestrator.rs", Room.SDK),
        ("x", f"{FETCHED}/aws-sdk-dynamodb-1.136.0/src/protocol_serde/shape_scan.rs", Room.DESERIALISER),
        ("aws_smithy_json::deserialize::token::expect_string_or_null", "", Room.DESERIALISER),
        ("insert<K,V>", "/rust/deps/hashbrown-0.16.1/src/map.rs", Room.RUNTIME),
        ("grow_one<T>", f"{STANDARD}/alloc/src/raw_vec/mod.rs", Room.RUNTIME),
        ("imalloc_body", "/srv/target/debug/build/tikv-jemalloc-sys/out/src/jemalloc.c", Room.RUNTIME),
    ],
)
def test_whose_code_a_frame_of_rust_is(function, file, room):
    assert room_of_rust(function, file) == room
