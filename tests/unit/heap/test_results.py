"""Results beside a capture: used where their checksums fit, computed anew where anything was touched."""

import json
import os
import stat

import numpy as np
import pytest

from forensics.heap import HeapGraph
from forensics.heap.results import WORTH_KEEPING


@pytest.fixture
def snapshot(tmp_path):
    folder = tmp_path / "capture" / "snapshots" / "000"
    folder.mkdir(parents=True)
    (tmp_path / "capture" / "manifest.json").write_text("{}")
    return folder


def graph(folder, seed=1, n=WORTH_KEEPING):
    chance = np.random.default_rng(seed)
    edges = chance.integers(0, n, (3 * n, 2))
    order = np.argsort(edges[:, 0], kind="stable")
    offsets = np.concatenate([[0], np.bincount(edges[:, 0], minlength=n).cumsum()])
    sizes = chance.integers(1, 100, n)
    return HeapGraph.from_arrays(offsets, edges[order, 1], sizes, [0, 1], meta={"folder": str(folder)})


def kept(folder):
    return folder.parent.parent / "computed" / "000"


def opened_again(folder, monkeypatch, **changes):
    """The same graph, with an algorithm that must not be asked."""

    def refuse(*_):
        raise AssertionError("computed anew")

    monkeypatch.setattr("forensics.heap.dominator_tree.dominators", refuse)
    return graph(folder, **changes)


def test_what_was_computed_is_read_back(snapshot, monkeypatch):
    first = graph(snapshot)
    dominators, retained = first.immediate_dominators(), first.retained_sizes()
    again = opened_again(snapshot, monkeypatch)
    assert (again.immediate_dominators() == dominators).all()
    assert (again.retained_sizes() == retained).all()


def test_holders_and_paths_are_read_back(snapshot):
    first = graph(snapshot)
    holders, path = first.holders(), first.paths_to_roots(9)[0].expression
    again = graph(snapshot)
    assert again.holders() == holders
    assert again.paths_to_roots(9)[0].expression == path


def test_files_are_for_the_owner_alone(snapshot):
    graph(snapshot).retained_sizes()
    assert stat.S_IMODE(kept(snapshot).stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept(snapshot).iterdir()} == {0o600}


def damage_a_number(folder):
    file = folder / "dominator_tree.immediate.npy"
    raw = bytearray(file.read_bytes())
    raw[-2] ^= 0x7F
    file.write_bytes(raw)


def cut_short(folder):
    file = folder / "dominator_tree.order.npy"
    file.write_bytes(file.read_bytes()[:1000])


def damage_the_index(folder):
    (folder / "dominator_tree.json").write_text("{")


def take_another_version(folder):
    file = folder / "dominator_tree.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "version": -1}))


def remove_one(folder):
    (folder / "dominator_tree.retained_sizes.npy").unlink()


@pytest.mark.parametrize(
    "harm", [damage_a_number, cut_short, damage_the_index, take_another_version, remove_one]
)
def test_what_does_not_fit_is_computed_anew(snapshot, harm):
    right = graph(snapshot).immediate_dominators()
    harm(kept(snapshot))
    assert (graph(snapshot).immediate_dominators() == right).all()


def test_numbers_out_of_range_are_not_trusted_even_where_the_checksum_fits(snapshot):
    from forensics.heap.results import Results

    first = graph(snapshot)
    right = first.immediate_dominators()
    tree = first.dominator_tree()
    wrong = right.copy()
    wrong[5] = 2**31 - 1
    arrays = {"immediate": wrong, "order": tree.order, "retained_sizes": tree.retained_sizes}
    Results.of(first).save("dominator_tree", arrays)
    assert (graph(snapshot).immediate_dominators() == right).all()


def test_results_of_another_graph_are_not_taken(snapshot):
    graph(snapshot, seed=1).retained_sizes()
    other = graph(snapshot, seed=2)
    fresh = graph(snapshot.parent / "elsewhere", seed=2)
    assert (other.immediate_dominators() == fresh.immediate_dominators()).all()


def test_a_folder_that_cannot_be_written_is_no_error(snapshot, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert graph(snapshot).retained_sizes().sum() > 0
    assert not os.path.exists(kept(snapshot))


def test_small_graphs_and_graphs_of_no_capture_leave_nothing(snapshot, tmp_path):
    graph(snapshot, n=100).retained_sizes()
    graph(tmp_path / "000").retained_sizes()
    assert not kept(snapshot).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capture"]
