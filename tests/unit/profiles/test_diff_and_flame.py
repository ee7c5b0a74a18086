"""Diffs and flame graphs of real profiles, and of small ones drawn by hand."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from forensics import formats
from forensics.plots.flame_graph import MOST_NODES, flame, flame_diff, flame_page
from forensics.profiles.builder import ProfileBuilder
from forensics.profiles.diff import diff
from forensics.profiles.model import Frame, Origin

DATA = Path(__file__).parents[2] / "data" / "profiles"
FILES = ("app/orders.py", "/usr/lib/python3.11/threading.py")


def profile(stacks, *, measure="live", period=None, start=None, end=None, line=1):
    """``{"main;fetch": bytes}``, outermost first, as folded stacks are written; "threading." is the runtime's."""
    builder = ProfileBuilder((measure,))
    for text, size in stacks.items():
        names = reversed(text.split(";"))
        frames = [builder.frame(Frame(name, FILES[name.startswith("threading.")], line)) for name in names]
        builder.add(builder.stack(frames), {measure: (size, 1)})
    return builder.build(Origin("memray", "python", sampling_period=period, start=start, end=end))


def test_go_profiles_of_one_process():
    before, after = (formats.load(DATA / f"go-{name}.pb.gz") for name in ("before", "after"))
    found = diff(before, after)
    assert found.before.sum() == before.total("live" if found.measure == "live" else found.measure)
    live = diff(before, after, measure="live")
    top = live.top(1).iloc[0]
    assert top["place"].endswith("main.fetchPage") and top["certain"]
    assert 0.6 < top["change"] / (600 * 25 * 2048) < 1.4
    assert live.after.sum() == after.total("live")


def test_union_of_stacks_and_change():
    found = diff(profile({"a;b": 100, "a;c": 50}), profile({"a;b": 70, "a;d": 10}))
    changes = {frames[0].function: change for frames, change in zip(found.stacks, found.change, strict=True)}
    assert changes == {"b": -30, "c": -50, "d": 10}
    assert found.change.sum() == 80 - 150


def test_sampling_error_decides_what_is_certain():
    sampled = diff(profile({"a": 10_000_000}, period=524288), profile({"a": 13_000_000}, period=524288))
    # sqrt(524288 * 23 MB) = 3.5 MB: 3 MB more is within two of them
    assert sampled.errors[0] == pytest.approx(np.sqrt(524288 * 23e6))
    assert not sampled.top()["certain"][0]
    assert diff(profile({"a": 10_000_000}), profile({"a": 13_000_000})).top()["certain"][0]


def test_normalised_by_time_and_by_total():
    short = profile({"a": 100}, measure="temporary", start=1.0, end=11.0)
    long = profile({"a": 210}, measure="temporary", start=1.0, end=21.0)
    by_time = diff(short, long)
    assert by_time.scale == 2 and by_time.change.tolist() == [10] and "20.0 s" in by_time.normalised
    assert diff(short, long, normalise="none").change.tolist() == [110]
    assert diff(short, long, normalise="total").change.tolist() == [0]
    with pytest.raises(ValueError, match="not known"):
        diff(profile({"a": 1}), profile({"a": 1}), normalise="time")
    with pytest.raises(ValueError, match="share no measure"):
        diff(profile({"a": 1}), long)


def test_lines_may_be_ignored_between_versions():
    first, second = profile({"a;b": 5}, line=10), profile({"a;b": 9}, line=12)
    assert len(diff(first, second)) == 2
    assert diff(first, second, lines=False).change.tolist() == [4]


def test_flame_is_consistent():
    icicle = flame(formats.load(DATA / "memray-normal.bin", over_time=False), min_share=0).data[0]
    values, below = dict(zip(icicle.ids, icicle.values, strict=True)), dict.fromkeys(icicle.ids, 0.0)
    for name, parent in zip(icicle.ids, icicle.parents, strict=True):
        if parent:
            below[parent] += values[name]
    assert all(below[name] <= values[name] * (1 + 1e-9) for name in values)
    assert values["0"] == formats.load(DATA / "memray-normal.bin", over_time=False).total("live")
    assert any(label.endswith("fetch_page") for label in icicle.labels)


def test_threshold_folds_and_says_so():
    source = formats.load(DATA / "memray-normal.bin", over_time=False)
    all_of_it, coarse = flame(source, min_share=0), flame(source, min_share=0.05)
    assert len(coarse.data[0].ids) < len(all_of_it.data[0].ids)
    assert "small frames folded" in coarse.layout.title.text


def test_search_lights_frames_and_says_their_share():
    source = profile({"main;fetch": 75, "main;other": 25, "main;fetch;fetch": 0 + 1})
    figure = flame(source, search="FETCH", min_share=0)
    assert "75.2% below" in figure.layout.title.text
    lit = [label for label, colour in zip(figure.data[0].labels, figure.data[0].marker.colors, strict=True)
           if colour == "#facc15"]  # fmt: skip
    assert len(lit) == 2


def test_diff_flame_is_red_green_and_grey():
    figure = flame_diff(
        diff(
            profile({"m;up": 10, "m;down": 90, "m;same": 5}), profile({"m;up": 90, "m;down": 10, "m;same": 5})
        )
    )
    colour = {
        label.split()[-1]: shade
        for label, shade in zip(figure.data[0].labels, figure.data[0].marker.colors, strict=True)
    }
    red, green = ([int(colour[name][at : at + 2], 16) for at in (1, 3, 5)] for name in ("up", "down"))
    assert red[0] > red[1] and green[1] > green[0] and colour["same"] == "#cbd5e1"
    sizes = {
        label.split()[-1]: value
        for label, value in zip(figure.data[0].labels, figure.data[0].values, strict=True)
    }
    assert sizes["up"] == sizes["down"] == 90


def test_page_escapes_what_a_profile_says():
    evil = profile({"<script>alert(1)</script>;fetch": 10})
    page = flame_page(evil)
    assert "<script>alert(1)" not in page
    assert 'id="search"' in page and 'id="least"' in page and 'id="places"' in page
    markup = page[: page.index('id="flame"')].split("<script")[0] + page[page.rindex("</script>") :]
    assert not re.search(r"(?:src|href)=.https?:", markup)
    assert not re.search(r"<script[^>]+src=", page)


def test_empty_profile_has_a_flame():
    assert len(flame(profile({})).data[0].ids) == 1


def test_frames_that_only_lead_on_are_drawn_as_one():
    # GIVEN three frames of the runtime that lead from one of the application's to another
    source = profile({"main;threading.run;threading._bootstrap;threading.start;fetch": 90, "main;other": 10})
    icicle = flame(source, min_share=0, search="_bootstrap").data[0]
    # THEN they are one, whose hover names all, and which the search finds by any
    (run,) = [n for n, label in enumerate(icicle.labels) if "(3 frames)" in label]
    assert len(icicle.ids) == 5
    for name in ("run", "_bootstrap", "start"):
        assert f"threading.{name}" in icicle.hovertext[run]
    assert icicle.marker.colors[run] == "#facc15"
    assert icicle.values[run] == 90


def test_the_error_of_a_frame_is_that_of_its_own_stacks():
    # GIVEN a small change that is certain beside a large one that is not
    change = diff(profile({"m;sure": 100, "m;unsure": 1000}), profile({"m;sure": 200, "m;unsure": 1500}))
    errors = [1.0 if any("unsure" not in f.function for f in stack[:1]) else 900.0 for stack in change.stacks]
    icicle = flame_diff(dataclasses.replace(change, errors=np.array(errors)), min_share=0).data[0]
    colour = dict(zip([label.split()[-1] for label in icicle.labels], icicle.marker.colors, strict=True))
    assert colour["sure"] != "#cbd5e1"
    assert colour["unsure"] == colour["m"] == "#cbd5e1"


def test_fifty_thousand_stacks_are_a_picture_of_thousands():
    # GIVEN so many stacks, none of which is a fiftieth of a thousandth of the whole
    builder = ProfileBuilder(("live",))
    for n in range(50_000):
        frames = [
            builder.frame(Frame(f"leaf{n}", "app/orders.py", n)),
            builder.frame(Frame("main", "app/orders.py", 1)),
        ]
        builder.add(builder.stack(frames), {"live": (100, 1)})
    source = builder.build(Origin("memray", "python"))
    # THEN the threshold folds the leaves, and without one the picture is bounded; nothing of the sum is lost
    few, many = flame(source), flame(source, min_share=0)
    assert len(few.data[0].ids) == 2
    assert len(many.data[0].ids) <= MOST_NODES
    assert few.data[0]["values"][0] == many.data[0]["values"][0] == 5_000_000
