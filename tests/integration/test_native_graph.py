"""What the native walker says of a known heap, in every interpreter found, against what that interpreter says."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from forensics.agent.stream import KIND_SHIFT, LABEL_MASK, EdgeKind, ObjectFlag, RootKind
from tests.integration.native_walking import Walked, each_interpreter, walk


@functools.cache
def known(interpreter: str) -> Walked:
    return walk("known.py", interpreter)


@each_interpreter
def test_self_check_believes_every_structure(interpreter: str) -> None:
    walked = known(interpreter)
    assert walked.said["given_up"] == []
    assert walked.raw.end["names_given_up"] == []


@each_interpreter
def test_no_edge_and_no_label_dangles_and_no_object_comes_twice(interpreter: str) -> None:
    walked = known(interpreter)
    assert len(walked.index) == len(walked.addresses) == walked.raw.end["objects"]
    assert int(walked.first[-1]) == len(walked.edges) == walked.raw.end["edges"]
    assert np.isin(walked.edges["target"], walked.addresses).all()
    kinds = walked.edges["label"] >> KIND_SHIFT
    by_object = np.isin(kinds, [EdgeKind.ATTRIBUTE, EdgeKind.KEY, EdgeKind.LOCAL, EdgeKind.CLOSURE])
    assert np.isin(walked.edges["label"][by_object] & LABEL_MASK, walked.addresses).all()


@each_interpreter
def test_everything_that_gc_reaches_is_reached(interpreter: str) -> None:
    walked = known(interpreter)
    missing = {at: what for at, what in walked.said["closure"].items() if int(at) not in walked.index}
    assert not missing
    flags = walked.raw.columns["flags"]
    lost = [
        what
        for at, what in walked.said["closure"].items()
        if flags[walked.index[int(at)]] & ObjectFlag.GC_LIST_ONLY
    ]
    assert not lost


#: Their values stand in memory of their own, or with another object, where sys.getsizeof does not count them.
ELSEWHERE = {"Plain", "Awaited", "Mapping", "Number", "Failure"}


@each_interpreter
def test_types_and_sizes_are_those_the_interpreter_tells(interpreter: str) -> None:
    walked = known(interpreter)
    names = {}
    for at, (type_name, _size) in walked.said["closure"].items():
        names[at] = (walked.type_of(int(at)).rpartition(".")[2], type_name)
    assert all(ours == theirs for ours, theirs in names.values())
    differ = {
        (type_name, size, walked.column("size", int(at)))
        for at, (type_name, size) in walked.said["closure"].items()
        if type_name not in ELSEWHERE and walked.column("size", int(at)) != size
    }
    shown_again = {
        d for d in differ if d[0] == "dict" and d[1] > d[2]
    }  # the __dict__ of an instance, 3.13 and later
    differ = {d for d in differ - shown_again if d[0] not in ("module", "BytesIO")}
    assert not differ
    assert len(shown_again) <= 3


@each_interpreter
def test_attributes_slots_and_dicts_have_their_names(interpreter: str) -> None:
    walked = known(interpreter)
    at = walked.said["known"]
    for plain in walked.items(at["plain"]):
        first = walked.named(plain, EdgeKind.ATTRIBUTE, "first")
        assert walked.text(walked.items(first)[0]) == "first"
        assert walked.type_of(walked.named(plain, EdgeKind.ATTRIBUTE, "second")) == "dict"
    namespace = walked.named(at["with_dict"], EdgeKind.SLOT, "__dict__")
    assert walked.type_of(walked.named(namespace, EdgeKind.KEY, "third")) == "list"
    assert walked.type_of(walked.named(at["slotted"], EdgeKind.SLOT, "slot")) == "list"
    assert walked.type_of(walked.named(at["mapping"], EdgeKind.KEY, "key")) == "list"
    number = at["number"]
    beside = (
        walked.named(number, EdgeKind.SLOT, "__dict__")
        if any(label == "__dict__" for _, label, _ in walked.edges_of(number))
        else number
    )
    kind = EdgeKind.KEY if beside != number else EdgeKind.ATTRIBUTE
    assert walked.type_of(walked.named(beside, kind, "unit")) == "list"
    assert (EdgeKind.WEAK, 0, at["slotted"]) in walked.edges_of(at["weak"])


@each_interpreter
def test_containers_give_positions(interpreter: str) -> None:
    walked = known(interpreter)
    at = walked.said["known"]
    assert len(walked.items(at["deque"])) == walked.column("length", at["deque"]) == 200
    assert [walked.text(walked.items(item)[0]) for item in walked.items(at["deque"])[:3]] == ["0", "1", "2"]
    assert len(walked.items(at["set"], EdgeKind.MEMBER)) == walked.column("length", at["set"]) == 100
    assert [walked.text(t) for t in walked.items(at["tuple"])[:2]] == ["1", "two"]
    assert walked.column("length", at["grown"]) == 77 < walked.column("capacity", at["grown"])
    keys = [walked.text(t) for k, _, t in walked.edges_of(at["ordered"]) if k == EdgeKind.KEY_OBJECT]
    assert keys == [str(n) for n in range(50)]
    assert walked.type_of(walked.named(at["failure"], EdgeKind.SLOT, "args")) == "tuple"


@each_interpreter
def test_closures_generators_coroutines_and_caches_have_their_names(interpreter: str) -> None:
    walked = known(interpreter)
    at = walked.said["known"]
    cell = walked.named(at["closure"], EdgeKind.CLOSURE, "free")
    assert walked.text(walked.items(walked.named(cell, EdgeKind.SLOT, "cell_contents"))[0]) == "free"
    assert walked.named(at["generator"], EdgeKind.LOCAL, "inner") == walked.said["yielded"]
    assert walked.type_of(walked.named(at["coroutine"], EdgeKind.LOCAL, "parameter")) == "list"
    held = [
        target for kind, label, target in walked.edges_of(at["coroutine"]) if label in ("stack", "cr_await")
    ]
    assert "generator" in {walked.type_of(target) for target in held}  # what the coroutine waits for
    cache = walked.named(at["cached"], EdgeKind.SLOT, "cache")
    link = walked.named(cache, EdgeKind.KEY, "argument")
    result = walked.named(link, EdgeKind.SLOT, "result")
    assert [walked.text(t) for t in walked.items(result)] == ["result of", "argument"]
    code = walked.named(at["closure"], EdgeKind.SLOT, "__code__")
    assert walked.text(walked.named(code, EdgeKind.SLOT, "co_qualname")) == "enclosing.<locals>.closure"


@each_interpreter
def test_values_are_what_the_interpreter_prints(interpreter: str) -> None:
    walked = known(interpreter)
    at = walked.said["known"]
    texts = [walked.text(t) for t in walked.items(at["texts"])]
    assert texts[:4] == ["ascii", "latin-\u00e9", "two bytes \u1234", "four bytes \U0001f40d"]
    assert texts[4] == "x" * 1024
    assert walked.column("flags", walked.items(at["texts"])[4]) & ObjectFlag.VALUE_CUT
    numbers = [walked.text(t) for t in walked.items(at["numbers"])]
    assert numbers[:7] == ["0", "1", "-7", str(10**40), str(2**200), "1", "1.5"]
    assert walked.column("flags", walked.items(at["numbers"])[8]) & ObjectFlag.VALUE_CUT
    assert [walked.text(t) for t in walked.items(at["decimals"])] == walked.said["decimals"]
    assert walked.text(walked.items(at["bytes"])[0]) == "b'bytes'"


@each_interpreter
def test_running_frames_hold_their_variables_and_what_only_their_stack_holds(interpreter: str) -> None:
    walked = known(interpreter)
    frames = walked.raw.frames
    code_names = {int(c["address"]): walked.text(int(c["name"])) for c in walked.raw.code}
    by_name = {code_names[int(frame["code"])]: frame for frame in frames}
    assert {"worker", "main", "<module>"} <= set(by_name)
    assert len({int(frame["thread"]) for frame in frames}) == 2
    worker = int(by_name["worker"]["address"])
    assert walked.column("flags", worker) & ObjectFlag.SYNTHETIC
    assert walked.named(worker, EdgeKind.LOCAL, "thread_local_name") == walked.said["thread_value"]
    assert walked.named(worker, EdgeKind.LOCAL, "page") == walked.said["thread_page"]
    assert int(by_name["worker"]["line"]) in range(76, 90)
    roots = {(int(r["address"]), int(r["kind"])) for r in walked.raw.roots}
    assert (worker, RootKind.FRAME) in roots
    # The generator that the for loop walks is in no variable; it must not look like garbage.
    generators = [int(a) for a in walked.addresses if walked.type_of(int(a)) == "generator"]
    pages = [g for g in generators if any(walked.text(t) == "pages" for _, _, t in walked.edges_of(g))]
    assert len(pages) == 1
    assert not walked.column("flags", pages[0]) & ObjectFlag.GC_LIST_ONLY


@each_interpreter
def test_cyclic_garbage_is_seen_and_marked(interpreter: str) -> None:
    walked = known(interpreter)
    lost = walked.said["garbage"]
    assert walked.column("flags", lost) & ObjectFlag.GC_LIST_ONLY
    assert walked.text(walked.items(lost)[0]) == "cyclic garbage"


@each_interpreter
def test_the_walk_in_place_sees_the_same_objects(interpreter: str) -> None:
    in_child, in_place = known(interpreter), walk("known.py", interpreter, "place")
    assert in_place.said["result"]["child_pid"] is None
    ours, theirs = in_place.raw.end["reached"], in_child.raw.end["reached"]
    assert abs(ours - theirs) < 0.02 * theirs
    assert not [at for at in in_place.said["closure"] if int(at) not in in_place.index]


@each_interpreter
def test_the_child_is_reaped_and_ended_well(interpreter: str) -> None:
    walked = known(interpreter)
    assert walked.said["status"] == 0
    assert walked.said["zombies"] == []
    assert 0 < walked.said["result"]["pause_seconds"] < 5


def test_at_least_the_interpreter_of_these_tests_is_walked() -> None:
    from tests.integration.native_walking import INTERPRETERS

    assert INTERPRETERS
    if len(INTERPRETERS) == 1:
        pytest.skip("only one interpreter from 3.11 on has headers here; install others with pyenv")
