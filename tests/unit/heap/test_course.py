"""What a diff says of its rows: bytes and elements together, and the elements that the container has itself."""

import collections
from dataclasses import replace

import numpy as np
import pytest
from heapbuilder import heap, query_response

from forensics.heap import EdgeKind, HeapGraph, diff
from forensics.heap.course import course_of, told


def pages(count):
    return [query_response(4) for _ in range(count)]


KIB, MIB = 1 << 10, 1 << 20


@pytest.mark.parametrize(
    ("elements", "sizes", "shape"),
    [
        # Series of services that somebody looked at.
        ((2388, 1897, 1797), (18705994, 26441441, 33495680), "growing"),
        ((1738, 1591, 1591), (14071458, 21144554, 27052538), "growing"),
        ((78, 41, 35), (34056, 2032336, 3353544), "growing"),
        ((2, 2, 13), (115565, 115565, 2084), "shrinking"),
        ((50, 50, 50), (812956, 856715, 856214), "plateau"),
        ((34, 34, 168), (137132, 137132, 1003027), "unknown"),
        ((7, 7, 19), (30 * KIB, 30 * KIB, 80 * KIB), "unknown"),
        ((7, 19, 19), (30 * KIB, 80 * KIB, 80 * KIB), "plateau"),
        ((18, 18, 20), (129399, 219145, 301179), "growing"),
        ((3, 3, 3), (2226976, 7639320, 12223456), "growing"),
        ((1719, 1719, 1620), (8697068, 8697068, 8697068), "plateau"),
        ((42, 68, 88), (2720589, 4431539, 5658487), "growing"),
        # What is plain.
        ((50, 50, 50), (MIB, MIB, MIB), "plateau"),
        ((100, 150), (MIB, 2 * MIB), "growing"),
        ((100, 50), (2 * MIB, MIB), "shrinking"),
        ((100, 60, 20), (3 * MIB, 2 * MIB, MIB), "shrinking"),
        ((10, 90, 5, 80, 8), (100_000, 900_000, 50_000, 800_000, 80_000), "sawtooth"),
        # A table is made larger now and then: its elements say that it grows all the time.
        ((10, 20, 30), (1000, 1000, 2000), "growing"),
        ((0, 100, 128, 128, 128), (0, 100_000, 128_000, 128_000, 128_000), "plateau"),
        ((5,), (100,), "unknown"),
        ((0, 0, 0), (0, 0, 0), "plateau"),
    ],
)
def test_the_shape_follows_bytes_and_elements(elements, sizes, shape):
    assert course_of(elements, sizes)[0] == shape


@pytest.mark.parametrize("elements", [(10, 20, 30), (30, 20, 10), (10, 10, 30), (10, 30, 10), (7, 7, 7)])
@pytest.mark.parametrize("sizes", [(1, 2, 3), (1, 1, 3), (1, 3, 3), (1, 3, 2), (2, 1, 3)])
def test_what_holds_more_is_never_shrinking_and_what_holds_less_never_growing(elements, sizes):
    more = [size * MIB for size in sizes]
    assert course_of(elements, more)[0] != "shrinking"
    assert course_of(elements, more[::-1])[0] != "growing"


def test_one_step_and_what_speaks_against_a_shape_make_it_less_sure():
    steady = course_of((10, 20, 30), (MIB, 2 * MIB, 3 * MIB))
    assert steady == ("growing", 0.75)
    assert course_of((10, 10, 30), (MIB, MIB, 3 * MIB))[1] < steady[1]
    assert course_of((10, 30, 30), (MIB, 3 * MIB, 3 * MIB))[1] < steady[1]
    fewer = course_of((30, 20, 10), (MIB, 2 * MIB, 3 * MIB))
    assert fewer[0] == "growing" and fewer[1] < steady[1]
    slightly = course_of((66, 66, 66), (85872, 94488, 103000))
    assert slightly[0] == "growing" and slightly[1] < steady[1]


def shown(snapshots):
    return {series.path: series for series in told(diff(snapshots), snapshots).holders}


def test_a_bounded_container_does_not_get_the_elements_of_the_list_it_shares_them_with():
    recent: collections.OrderedDict = collections.OrderedDict()
    trail: list = []
    every = pages(220)
    snapshots = []
    for count in (80, 150, 220):
        for i in range(len(trail), count):
            trail.append(every[i])
            recent[f"k{i}"] = every[i]
            while len(recent) > 10:
                recent.popitem(last=False)
        snapshots.append(heap(shipping={"RECENT": recent, "TRAIL": trail}))
    rows = shown(snapshots)
    assert rows["shipping.TRAIL"].shape == "growing" and rows["shipping.TRAIL"].elements == (80, 150, 220)
    bounded = rows["shipping.RECENT"]
    assert bounded.elements == (10, 10, 10) and bounded.shape == "plateau" and max(bounded.bytes) < 10_000
    assert "shipping.TRAIL" in bounded.also_held_by


def test_a_container_counted_with_others_in_one_snapshot_alone_did_not_grow():
    """As a registry of typing's: 34 entries in each, and what hangs on its variable in the last one only."""
    every = pages(60)
    steady = {"REGISTRY": pages(34), "CACHE": every}
    snapshots = [heap(api=steady) for _ in range(3)]
    found = diff(snapshots)
    series = next(each for each in found.holders if each.path == "api.REGISTRY")
    own = series.bytes[0]
    mixed = replace(series, elements=(34, 34, 168), bytes=(own, own, 7 * own), shape="growing")
    (row,) = told(replace(found, holders=(mixed,)), snapshots).holders
    assert (row.elements, row.bytes, row.shape) == ((34, 34, 34), (own, own, own), "plateau")
    # Bytes that were found the same way twice, and grew, are not hidden.
    grown = replace(series, elements=(78, 41, 35), bytes=(own, 20 * own, 30 * own), shape="shrinking")
    (row,) = told(replace(found, holders=(grown,)), snapshots).holders
    assert (row.elements, row.bytes, row.shape) == ((34, 34, 34), grown.bytes, "growing")


def test_elements_come_and_go_in_a_deque_with_a_bound():
    last: collections.deque = collections.deque(maxlen=50)
    every = pages(120)
    snapshots = []
    for end in (50, 80, 120):
        last.extend(every[end - 30 : end] if last else every[:50])
        snapshots.append(heap(desk={"LAST": last}))
    series = shown(snapshots)["desk.LAST"]
    assert series.elements == (50, 50, 50) and series.shape == "plateau" and series.new_elements > 0


def chain(n):
    """Nodes after nodes, each with one successor."""
    offsets = np.concatenate([[0, 1], 1 + np.minimum(np.arange(1, n + 1), n - 1)])
    return HeapGraph.from_arrays(
        offsets, np.arange(1, n + 1), np.full(n + 1, 64), [0],
        kinds=np.full(n, EdgeKind.ITEM), addresses=0x1000 + 64 * np.arange(n + 1),
        types=[0] + [1] * n, type_names=["orders.Chain", "orders.Node"],
    )  # fmt: skip


def test_a_linked_list_keeps_the_number_of_its_nodes():
    (series,) = shown([chain(n) for n in (2000, 3000, 4000)]).values()
    assert series.elements[0] >= 2000 and series.elements[-1] >= 4000 and series.shape == "growing"


def test_what_is_written_is_what_the_rows_say_and_the_rules_see_the_diff_as_it_was():
    every = pages(120)
    snapshots = [heap(api={"CACHE": dict(enumerate(every[:count]))}) for count in (40, 40, 120)]
    found = diff(snapshots)
    assert found.growing and found.growing[0].confidence == 0.75
    judged = told(found, snapshots)
    assert not judged.growing and len(judged.holders) == len(found.holders)
    assert "0 of 1 holders grow" in repr(judged) and "unknown" in repr(judged)
    assert found.growing  # untouched
