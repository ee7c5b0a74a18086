"""The working folder of ``forensics lab``: whose notebooks are whose, and who may be called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from forensics.errors import BundleError
from forensics.lab import CAPTURE_VARIABLE, bundled_capture, chosen_capture, command, environment, prepare
from forensics.resources import notebooks


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.ipynb"))


def test_all_notebooks_are_put_there(tmp_path: Path) -> None:
    bench = prepare(tmp_path / "work")
    assert names(bench.folder) == names(notebooks()) == sorted(bench.written)
    assert bench.kept == ()


def test_a_changed_notebook_is_never_overwritten_and_a_removed_one_comes_back(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    mine, gone = first.folder / "03_what_grew.ipynb", first.folder / "04_who_holds_it.ipynb"
    mine.write_text("my own work")
    gone.unlink()
    second = prepare(tmp_path)
    assert second.kept == ("03_what_grew.ipynb",)
    assert mine.read_text() == "my own work"
    assert gone.is_file()


def test_a_file_of_that_name_that_was_never_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "00_start_here.ipynb").write_text("somebody's")
    assert prepare(tmp_path).kept == ("00_start_here.ipynb",)
    assert (tmp_path / "00_start_here.ipynb").read_text() == "somebody's"


def test_an_old_notebook_that_was_not_changed_is_renewed(tmp_path: Path) -> None:
    bench = prepare(tmp_path)
    old = bench.folder / "00_start_here.ipynb"
    old.write_text("of an older version")
    record = bench.folder / ".forensics" / "notebooks.json"
    import hashlib

    known = json.loads(record.read_text())
    known[old.name] = hashlib.sha256(old.read_bytes()).hexdigest()
    record.write_text(json.dumps(known))
    assert old.name in prepare(tmp_path).written
    assert old.read_text() == (notebooks() / old.name).read_text()


def test_a_damaged_record_loses_nobodys_work(tmp_path: Path) -> None:
    bench = prepare(tmp_path)
    (bench.folder / "00_start_here.ipynb").write_text("mine")
    (bench.folder / ".forensics" / "notebooks.json").write_text("[not json")
    assert "00_start_here.ipynb" in prepare(tmp_path).kept


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="cannot be put into"):
        prepare(tmp_path / "file" / "work")


def test_it_listens_here_only_and_asks_nobody(tmp_path: Path) -> None:
    line = command(tmp_path, 8888, browser=False)
    assert "--ServerApp.ip=127.0.0.1" in line
    assert "--LabApp.news_url=" in line
    assert "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate" in line
    assert "--LabApp.extension_manager=readonly" in line


def test_the_kernels_are_told_the_capture(tmp_path: Path) -> None:
    assert environment(tmp_path, tmp_path / "mine")[CAPTURE_VARIABLE] == str(tmp_path / "mine")


def test_the_capture_is_the_named_one_then_the_chosen_one_then_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CAPTURE_VARIABLE, raising=False)
    assert chosen_capture() == bundled_capture("leaking")
    monkeypatch.setenv(CAPTURE_VARIABLE, "chosen")
    assert chosen_capture() == Path("chosen")
    assert chosen_capture("named") == Path("named")
