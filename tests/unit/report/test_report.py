import json
import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from forensics.errors import BundleError, ForensicsError
from forensics.findings import Findings
from forensics.report import FORMATS, render, write_report
from tests.unit.report.handmade import HOSTILE, HandmadeCapture

CALM = HandmadeCapture()
HARMFUL = HandmadeCapture(hostile=True)


class Page(HTMLParser):
    """Every tag and attribute a browser would see, and the text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(CALM, "html"))


@pytest.fixture(scope="module")
def hostile_page() -> Page:
    return Page(render(HARMFUL, "html"))


@pytest.mark.parametrize("heading", ["Summary", "What grows", "Findings", "Evidence", "What to change",
                                     "Method and limits", "What was masked", "Capture and checksums"])  # fmt: skip
def test_the_page_has_every_part(page: Page, heading: str) -> None:
    assert heading in page.text


@pytest.mark.parametrize(
    "fact",
    ["orders.api.RESPONSES", "orders/api.py :12", "Query", "Orders", "40 MiB", "84 MiB a minute", "6 min 52 s",
     "TTLCache(maxsize=512", "API4:2023 Unrestricted Resource Consumption", "CWE-401 Missing Release",
     "confidence 97 %", "orders.audit.LAST", "e-mail address", "ab" * 32, "3.11.7"],
)  # fmt: skip
def test_the_page_says_every_fact(page: Page, fact: str) -> None:
    assert fact.replace(" ", "") in page.text.replace(" ", "")


def test_the_summary_has_five_lines(page: Page) -> None:
    document = json.loads(render(CALM, "json"))
    assert len(document["summary"]) == 5
    for answer in document["summary"].values():
        assert answer.replace(" ", "") in page.text.replace(" ", "")


def test_the_page_runs_nothing_and_calls_nobody(hostile_page: Page) -> None:
    assert not hostile_page.tags & {
        "script",
        "img",
        "iframe",
        "object",
        "embed",
        "link",
        "form",
        "a",
        "base",
        "image",
    }
    assert not [
        name for name, _ in hostile_page.attributes if name.startswith("on") or name in ("href", "src")
    ]
    values = [value for name, value in hostile_page.attributes if name != "xmlns"]
    assert not [value for value in values if "http" in value or "javascript:" in value]


def test_hostile_text_is_shown_as_text(hostile_page: Page) -> None:
    for text in ("<script>window.hacked=1</script>", "</svg><svg onload=window.hacked=1>", "\\x1b[31mred"):
        assert text.replace(" ", "") in hostile_page.text.replace(" ", "")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", hostile_page.text)


def test_ids_are_unique(hostile_page: Page) -> None:
    assert len(set(hostile_page.ids)) == len(hostile_page.ids)


def test_the_page_is_small() -> None:
    assert len(render(HARMFUL, "html").encode()) < 6_000_000


def test_markdown_says_the_same_and_holds_no_markup() -> None:
    text = render(HARMFUL, "md")
    tokens = MarkdownIt("gfm-like").parse(text)
    inline = [child.type for token in tokens for child in token.children or []]
    assert not set(inline) & {"html_inline", "link_open", "image"}
    assert "html_block" not in {token.type for token in tokens}
    for heading in (
        "Findings",
        "What grows",
        "Method and limits",
        "What was masked",
        "Capture and checksums",
    ):
        assert f"## {heading}" in text
    assert "\x1b" not in text


def test_json_holds_the_findings_in_their_schema() -> None:
    document = json.loads(render(HARMFUL, "json"))
    expected = HARMFUL.findings().to_dict()
    assert document["schema"] == "forensics.report/1"
    assert document["findings"] == json.loads(json.dumps(expected["findings"]))
    assert document["chains"]["schema"] == "forensics.chains/1"


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "sarif"])
def test_a_capture_without_counters_findings_or_growth_still_reports(format: str) -> None:
    class Bare(HandmadeCapture):
        process = None  # type: ignore[assignment]
        times = property(lambda self: [5.0])  # type: ignore[assignment]
        snapshots = property(lambda self: HandmadeCapture().snapshots[:1])  # type: ignore[assignment]

        def findings(self) -> Findings:
            return Findings("bare", 1)

    text = render(Bare(), format)
    assert "no process counters" in text
    assert "a single snapshot" in text


def test_the_file_is_written_whole_for_its_owner_only(tmp_path: Path) -> None:
    written = write_report(CALM, tmp_path / "report.html")
    assert written.read_text().endswith("</html>\n") or written.read_text().endswith("</html>")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert [path.name for path in written.parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_earlier_report_is_replaced_and_anything_else_is_not(format: str, tmp_path: Path) -> None:
    file = tmp_path / f"report.{format}"
    file.write_text(render(HARMFUL, format))
    assert write_report(CALM, file, format).read_text() != render(HARMFUL, format)
    file.write_text("my own work")
    with pytest.raises(BundleError, match="is no report of ours"):
        write_report(CALM, file, format)
    assert file.read_text() == "my own work"
    assert write_report(CALM, file, format, force=True).read_text() != "my own work"


def test_an_unknown_format_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ForensicsError, match=r"pdf.*html, md, json, sarif"):
        render(CALM, "pdf")


def test_a_report_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    in_the_way = tmp_path / "report.html"
    in_the_way.mkdir()
    (in_the_way / "precious").write_text("x")
    with pytest.raises(BundleError, match="cannot be written"):
        write_report(CALM, in_the_way)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_planted_texts_reach_the_page() -> None:
    """Guards the tests above: what they look for must really have been there."""
    said = json.dumps(json.loads(render(HARMFUL, "json")), ensure_ascii=False)
    for text in HOSTILE:
        assert json.dumps(text, ensure_ascii=False)[1:-1] in said
