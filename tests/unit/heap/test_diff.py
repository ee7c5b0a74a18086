"""Diff: the series of each holder, its shape, what is new, and what was only moved or released."""

import numpy as np
import pytest
from heapbuilder import heap, query_response

from forensics.heap import diff
from forensics.heap.series import shape_of, slope


def pages(count):
    return [query_response(4) for _ in range(count)]


def grown(*counts, name="CACHE"):
    """One snapshot for each count, of a dict that holds so many responses of the same process."""
    every = pages(max(counts))
    container: dict = {}
    snapshots = []
    for count in counts:
        for key in list(container)[count:]:
            del container[key]
        for i in range(len(container), count):
            container[f"k{i}"] = every[i]
        snapshots.append(heap(orders__api={name: container, "STEADY": STEADY}))
    return snapshots


STEADY = pages(40)


def test_a_growing_holder_with_its_new_elements():
    found = diff(grown(100, 150, 210), times=[0.0, 10.0, 20.0])
    (series,) = found.growing
    assert series.path == "orders.api.CACHE"
    assert series.elements == (100, 150, 210)
    assert series.bytes == tuple(sorted(series.bytes))
    assert (series.shape, series.confidence, series.rests_on) == ("growing", 0.75, 3)
    assert series.new_elements == 110
    assert series.new_element_types == (("dict{Items, Count, ScannedCount, ResponseMetadata}", 110),)
    assert series.elements_per_second == pytest.approx(5.5)
    assert found.holders[0] is series
    steady = next(s for s in found.holders if s.path == "orders.api.STEADY")
    assert steady.shape == "plateau" and steady.new_elements == 0


def test_two_snapshots_say_less_than_three():
    assert diff(grown(50, 90)).growing[0].confidence < diff(grown(50, 90, 130)).growing[0].confidence


def test_what_was_released_is_no_leak():
    found = diff(grown(200, 120, 30))
    series = next(s for s in found.holders if s.path == "orders.api.CACHE")
    assert series.shape == "shrinking"
    assert not found.growing


def test_a_holder_that_is_gone_has_zero_elements_in_the_end():
    first = heap(orders__api={"OLD": pages(100), "STEADY": STEADY})
    last = heap(orders__api={"STEADY": STEADY})
    series = next(s for s in diff([first, last]).holders if s.path == "orders.api.OLD")
    assert series.elements == (100, 0) and series.objects[-1] == -1 and series.shape == "shrinking"


def test_a_holder_that_is_new_has_zero_elements_in_the_beginning():
    first = heap(orders__api={"STEADY": STEADY})
    last = heap(orders__api={"NEW": pages(100), "STEADY": STEADY})
    (series,) = diff([first, last]).growing
    assert series.path == "orders.api.NEW" and series.elements == (0, 100) and series.new_elements == 100


def test_a_small_container_that_grows_is_found_below_the_share_of_a_holder():
    big = b"x" * 100_000_000
    small: list = []
    first = heap(orders__api={"BIG": big, "SMALL": small})
    small.extend(pages(40))
    last = heap(orders__api={"BIG": big, "SMALL": small})
    (series,) = diff([first, last]).growing
    assert series.path == "orders.api.SMALL" and series.elements == (0, 40)


def test_the_same_address_with_another_type_is_another_object():
    first = heap(orders__api={"STEADY": STEADY})
    last = heap(orders__api={"STEADY": STEADY})
    moved = last.addresses.copy()
    steady = last.find("orders.api.STEADY")
    element = int(last.targets[last.offsets[steady]])
    moved[element] += np.uint64(1 << 20)  # the element was replaced by one elsewhere
    changed = type(last).from_arrays(
        last.offsets, last.targets, last.shallow_sizes, last.root_objects, kinds=last.kinds,
        labels=last.labels, addresses=moved, types=last.types, type_names=last.type_names,
        strings=last.strings, flags=last.flags, lengths=last.lengths, capacities=last.capacities,
        texts=last.texts, value_hashes=last.value_hashes, root_kinds=last.root_kinds,
        root_names=last.root_names, frames=last.frames, code=last.code, meta=last.meta,
    )  # fmt: skip
    series = next(s for s in diff([first, changed]).holders if s.path == "orders.api.STEADY")
    assert series.new_elements == 1 and series.elements == (40, 40) and series.shape == "plateau"


def test_co_holders_stay_one_series():
    every = pages(120)
    cache: dict = {}
    trail: list = []
    snapshots = []
    for count in (40, 80, 120):
        for i in range(len(cache), count):
            cache[f"k{i}"] = every[i]
            trail.append(every[i])
        snapshots.append(heap(orders__api={"CACHE": cache, "TRAIL": trail}))
    (series,) = diff(snapshots).growing
    assert series.path == "orders.api.CACHE" and series.also_held_by == ("orders.api.TRAIL",)
    assert series.elements == (40, 80, 120)


def test_types_are_compared_too():
    found = diff(grown(10, 60))
    dicts = next(t for t in found.types if t.name == "dict")
    assert dicts.objects[1] > dicts.objects[0] and dicts.bytes[1] > dicts.bytes[0]
    assert len(found.to_pandas()) == len(found.holders)


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ([5], "unknown"),
        ([10, 20], "growing"),
        ([10, 20, 30, 40], "growing"),
        ([10, 10, 10], "plateau"),
        ([1000, 1001, 1003], "plateau"),
        ([0, 100, 128, 128, 128], "plateau"),
        ([10, 90, 5, 80, 8], "sawtooth"),
        ([100, 200, 20, 120, 220, 30], "sawtooth"),
        ([100, 60, 20], "shrinking"),
        ([100, 150, 145, 200, 260], "growing"),
    ],
)
def test_shapes_of_series(values, shape):
    assert shape_of(values)[0] == shape


def test_confidence_rises_with_the_number_of_snapshots():
    sure = [shape_of(list(range(0, 100 * n, 100)))[1] for n in range(1, 10)]
    assert sure == sorted(sure) and sure[0] == 0 and sure[-1] < 1


def test_a_slope_needs_two_times():
    assert slope([1, 3, 5], [0, 1, 2]) == pytest.approx(2)
    assert slope([1, 3], None) is None
    assert slope([1, 3], [4, 4]) is None
