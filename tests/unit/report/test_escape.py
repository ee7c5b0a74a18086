import csv
import io

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from forensics import escape
from tests.unit.report.handmade import HOSTILE


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_text_moves_no_cursor_and_turns_no_direction(text: str) -> None:
    assert escape.plain(text).isprintable()


@pytest.mark.parametrize("text", ["orders.api.RESPONSES['k']", "Bestellung Übergröße 注文 🍎", "a b", ""])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert escape.plain(text) == text


def test_long_text_is_cut_to_the_limit() -> None:
    assert escape.plain("x" * 50, limit=10) == "x" * 9 + "…"


@pytest.mark.parametrize("text", HOSTILE)
def test_html_holds_no_markup(text: str) -> None:
    shown = escape.html_text(text)
    assert not set('<>"') & set(shown)


@pytest.mark.parametrize("text", HOSTILE)
def test_hover_text_holds_neither_markup_nor_tex(text: str) -> None:
    shown = escape.hover(text)
    assert "<" not in shown
    assert "$" not in shown


@pytest.mark.parametrize(
    "text", [*HOSTILE, "# a heading", "1. a list", "www.outside.example", "- a list", "a|b"]
)
def test_markdown_comes_out_as_one_paragraph_of_that_very_text(text: str) -> None:
    document = MarkdownIt("gfm-like", {"html": True}).parse(escape.markdown(text))
    assert [token.type for token in document] == ["paragraph_open", "inline", "paragraph_close"]
    inner = document[1].children or []
    assert {token.type for token in inner} <= {"text", "text_special"}
    assert "".join(token.content for token in inner) == escape.plain(text).strip()


@pytest.mark.parametrize("text", [*HOSTILE, "`", "a``b", " padded "])
def test_a_code_span_ends_where_it_should(text: str) -> None:
    inner = MarkdownIt("commonmark").parseInline(escape.markdown_code(text))[0].children or []
    assert [token.type for token in inner] == ["code_inline"]
    assert inner[0].content.strip() == escape.plain(text).replace("|", "\\|").strip()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    frame = pd.DataFrame({"name": [text], text: [3]})
    written = io.StringIO()
    escape.frame_for_csv(frame).to_csv(written, index=False)
    rows = list(csv.reader(io.StringIO(written.getvalue())))
    assert not [
        cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    ]
    assert rows[1][1] == "3"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_file_name_stays_in_its_folder(text: str) -> None:
    name = escape.file_name(text)
    assert name
    assert not name.startswith(".")
    assert not set(name) & set("/\\\x00\n")
