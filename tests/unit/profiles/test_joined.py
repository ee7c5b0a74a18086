"""Joining both sides: real objects of this process, allocated under a real memray tracker."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import memray
import numpy as np
import pandas as pd
import pytest

from forensics import formats
from forensics.profiles.joined import contents, join

sys.path.insert(0, str(Path(__file__).parents[1]))
from heapbuilder import heap


def fetch_page(number):
    items = [{"pk": {"S": f"c-{number}-{k}"}, "note": {"S": f"{number}-{k}" * 40}} for k in range(25)]
    return json.loads(json.dumps({"Items": items, "Count": 25}))


def other_work():
    return [bytes(300 + k) for k in range(400)]


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    """Pages in a dict and in a list, allocated under memray, and the graph of them."""
    file = tmp_path_factory.mktemp("joined") / "run.bin"
    with memray.Tracker(file, trace_python_allocators=True):
        pages = {number: fetch_page(number) for number in range(40)}
        others = other_work()
    graph = heap(orders_api={"RESPONSES": pages, "OTHERS": others})
    return graph, file, id(pages), id(others), time.time()


def object_at(graph, address):
    return int(np.flatnonzero(graph.addresses == address)[0])


def line_of(function):
    return function.__code__.co_firstlineno


def test_by_addresses(captured):
    graph, file, pages, others, moment = captured
    profile = formats.load(file, measures=["live"], over_time=False, addresses=True)
    joint = join(graph, [object_at(graph, pages)], profile, held_by="orders_api.RESPONSES", time=moment)
    assert joint.way == "addresses" and joint.confidence > 0.9
    first = joint.allocated_at[0]
    assert first.place.text.endswith(f"test_joined.py:{line_of(fetch_page) + 2} fetch_page")
    assert first.share > 0.9 and "held by orders_api.RESPONSES" in joint.text
    away = join(graph, [object_at(graph, others)], profile, held_by="orders_api.OTHERS", time=moment)
    assert {each.place.text.split()[-1] for each in away.allocated_at} <= {"other_work", "<listcomp>"}
    assert joint.to_pandas()["objects"].sum() <= len(contents(graph, [object_at(graph, pages)]))


def test_far_apart_in_time_is_less_sure(captured):
    graph, file, pages, _, moment = captured
    profile = formats.load(file, measures=["live"], over_time=False, addresses=True)
    near, far = (
        join(graph, [object_at(graph, pages)], profile, held_by="x", time=moment + late) for late in (0, 600)
    )
    assert far.confidence < near.confidence - 0.2 and "s apart" in far.because


def test_by_tracer_where_there_are_no_addresses(captured):
    graph, file, pages, _, _ = captured
    profile = formats.load(file, measures=["live"], over_time=False)
    holder = object_at(graph, pages)
    tags = graph.addresses[contents(graph, [holder])[:3]]
    site = next(
        frame for stack in range(profile.n_stacks) for frame in profile.stack(stack) if frame.function == "fetch_page"
        and frame.line == line_of(fetch_page) + 2
    )  # fmt: skip
    notes = pd.DataFrame(
        {
            "tag_address": tags,
            "file": site.file,
            "line": site.line,
            "operation": "Query",
            "function": "fetch_page",
        }
    )
    joint = join(graph, [holder], profile, held_by="orders_api.RESPONSES", responses=notes)
    assert joint.way == "tracer" and 0.5 < joint.confidence <= 0.9
    assert f"test_joined.py:{site.line} fetch_page" in joint.allocated_at[0].place.text


def test_by_shape_is_never_sure():
    data = Path(__file__).parents[2] / "data" / "profiles"
    profile = formats.load(data / "memray-normal.bin", over_time=False)
    kept = {number: fetch_page(number) for number in range(10)}
    graph = heap(orders_api={"RESPONSES": kept})
    joint = join(graph, [object_at(graph, id(kept))], profile, held_by="orders_api.RESPONSES")
    assert joint.way == "shape and time" and 0 < joint.confidence <= 0.5
    assert joint.allocated_at[0].place.text == "orders/db.py:29 fetch_page → DynamoDB"


def test_nothing_to_join(captured):
    graph, _, _, _, _ = captured
    data = Path(__file__).parents[2] / "data" / "profiles"
    empty = join(graph, [], formats.load(data / "dhat-heap.json"), held_by="x")
    assert empty.way == "none" and empty.confidence == 0
    kept = {1: fetch_page(1)}
    strange = join(heap(a={"K": kept}), [object_at(heap(a={"K": kept}), id(kept))],
                   formats.load(data / "dhat-heap.json"), held_by="a.K")  # fmt: skip
    assert strange.way == "none" and "not known" in strange.text
