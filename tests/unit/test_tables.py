"""Tables and prose keep to the width of a terminal, and lose nothing."""

from __future__ import annotations

import pytest

import forensics as fx
from forensics.lab import bundled_capture
from forensics.tables import fold_lines, html_table, text_table

COLUMNS = ("share", "held by", "elements")
PATH = "orders.api.BoundedCacheOfResponses.entries_by_customer['k3'][0]['Items']"
ROWS = [("16.8 %", PATH, "1,196"), ("2.0 %", "x", "92")]


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "0")


@pytest.mark.parametrize("width", [32, 40, 79])
def test_a_table_keeps_to_the_width_and_loses_nothing(width: int) -> None:
    lines = text_table(COLUMNS, ROWS, width=width).splitlines()
    assert max(len(line) for line in lines) <= width
    beginning = lines[1].index(PATH[:3])
    of_first = lines[1 : next(k for k, line in enumerate(lines) if line.lstrip().startswith("2.0 %"))]
    end = beginning + max(len(line[beginning:].split("  ")[0]) for line in of_first)
    assert "".join(line[beginning:end].strip() for line in of_first) == PATH


def test_without_a_terminal_nothing_is_folded() -> None:
    lines = text_table(COLUMNS, ROWS).splitlines()
    assert len(lines) == 3 and PATH in lines[1]


def test_a_number_stays_with_its_unit_and_in_one_piece() -> None:
    table = text_table(("a", "course"), [("x" * 30, "2,574,112 B → 12.25 MiB → 3 s")], width=44)
    for whole in ("2,574,112 B", "12.25 MiB", "3 s"):
        assert whole in table


def test_prose_is_folded_under_its_label_and_commands_stay_whole() -> None:
    text = (
        "F1  a title\n    evidence   "
        + "word " * 30
        + '\n    evidence   check: forensics sql x "'
        + "y " * 50
    )
    lines = fold_lines(text, 60).splitlines()
    assert all(len(line) <= 60 for line in lines if "forensics sql" not in line)
    assert lines[2].startswith(" " * 15 + "word")
    assert sum("forensics sql" in line for line in lines) == 1 and lines[-1] == text.splitlines()[-1].rstrip(
        "\n"
    )


def test_html_is_escaped() -> None:
    markup = html_table(("a",), [("<img src=x>",)], caption="<b>")
    assert "<img" not in markup and "&lt;img" in markup


@pytest.mark.parametrize("verb", ["diff", "holders"])
def test_what_the_verbs_print_fits_eighty_columns(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    capture = fx.open(bundled_capture("leaking"))
    monkeypatch.setenv("COLUMNS", "80")
    said = str(capture.diff() if verb == "diff" else capture.snapshots[-1].holders())
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "orders.api." in said
