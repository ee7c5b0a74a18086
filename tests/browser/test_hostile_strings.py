"""Hostile strings, planted in a real service: shown as text, and as nothing else, wherever a person may look."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import forensics as fx
from forensics import cli
from forensics.capture import injector
from forensics.escape import frame_for_csv
from forensics.lab import prepare
from forensics.specimens.moto import Moto
from tests.browser.conftest import PHONE, Window
from tests.browser.lab import Lab, run_all
from tests.unit.report.handmade import HOSTILE

pytestmark = [
    pytest.mark.skipif(bool(injector.supported()), reason=injector.supported() or ""),
    pytest.mark.timeout(300),
]

#: Set by every script and handler among the strings, should one run.
ATTACKED = "window.hacked"
#: NUL cannot be sent to a program as an argument.
PLANTED = [text.replace("\x00", "") for text in HOSTILE]


@pytest.fixture(scope="module")
def capture(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service, captured with its values."""
    environment = {**os.environ, **moto.environment}
    table = moto.client()
    table.create_table(
        TableName="Hostile",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for text in PLANTED:
        table.put_item(TableName="Hostile", Item={"pk": {"S": text}, text: {"S": text * 40}})
    folder = tmp_path_factory.mktemp("hostile") / "capture"
    program = Path(__file__).with_name("hostile_service.py")
    with subprocess.Popen(
        [sys.executable, str(program), json.dumps(PLANTED)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            fx.capture(process.pid, to=folder, snapshots=3, every=2, values="full")
        finally:
            process.kill()
    findings = fx.findings(folder)
    assert findings[0].retainer.path.endswith("KEPT") and findings[0].severity != "info"
    return folder


@pytest.fixture(scope="module")
def lab(browser: object, capture: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    running = Lab(prepare(tmp_path_factory.mktemp("hostile-lab") / "work").folder, capture)
    yield running
    running.stop()


@pytest.mark.parametrize("name", ["00_start_here", "04_who_holds_it", "05_which_call_fetched_it"])
def test_in_a_notebook(name: str, lab: Lab, window: Callable[..., Window]) -> None:
    """Cards, tables, the widget with every place unfolded, as a list, and what the plots show under the pointer."""
    shown = window(lab.home, lab.home.replace("http", "ws"))
    page = shown.page
    run_all(page, lab.address(f"{name}.ipynb"))
    for graph in page.locator(".fx-graph").all():
        graph.get_by_role("button", name="Expand all").click()
        graph.get_by_role("button", name="List").click()
        # From below, for a click folds what is under it.
        for place in reversed(graph.get_by_role("treeitem").all()[:12]):
            place.get_by_role("button").first.click()
    for plot in page.locator(".js-plotly-plot").all():
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        for share in (0.2, 0.4, 0.6, 0.8) if box else ():
            page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            page.wait_for_timeout(50)
    assert page.evaluate(ATTACKED) is None
    # No planted element is in the outputs: neither an image to elsewhere nor a link that runs a script.
    assert page.locator('.jp-OutputArea-output img[src="x"]').count() == 0
    assert page.locator('.jp-OutputArea-output [href^="javascript:"]').count() == 0
    assert page.locator('.jp-OutputArea-output a[href*="outside.example"]').count() == 0
    assert shown.outside == []
    assert shown.troubles == []


@pytest.mark.parametrize("size", [None, PHONE], ids=["laptop", "phone"])
def test_in_the_report(
    size: dict[str, int] | None, capture: Path, window: Callable[..., Window], tmp_path: Path
) -> None:
    file = fx.report(capture, tmp_path / "report.html")
    shown = window(file.as_uri(), offline=True, **({"size": size} if size else {}))
    shown.page.goto(file.as_uri())
    main = shown.page.locator("main")
    assert "KEPT" in main.inner_text()
    assert shown.page.evaluate(ATTACKED) is None
    assert shown.page.locator("script, img, [onerror], [onload], [href^='javascript:']").count() == 0
    assert main.inner_text().replace("\n", " ").replace("\t", " ").isprintable()
    # THEN nothing is wider than the window
    assert shown.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert shown.outside == []
    assert shown.troubles == []


def test_in_markdown(capture: Path, tmp_path: Path) -> None:
    text = fx.report(capture, tmp_path / "report.md", "md").read_text()
    assert all(line.isprintable() for line in text.splitlines())
    tokens = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table").parse(text)
    kinds = {each.type for token in tokens for each in (token, *(token.children or ()))}
    assert not kinds & {"html_block", "html_inline", "image", "link_open"}


def test_in_a_spreadsheet(capture: Path) -> None:
    opened = fx.open(capture)
    tables = [
        opened.diff().to_pandas(),
        opened.chains().to_pandas(),
        opened.snapshots[-1].census().to_pandas(),
    ]
    for table in tables:
        for row in csv.reader(frame_for_csv(table).to_csv(index=False).splitlines()):
            for cell in row:
                assert not cell.startswith(("=", "+", "@")) and "\x1b" not in cell
                assert not cell.startswith("-") or float(cell) < 0


@pytest.mark.parametrize("verb", ["show", "diff", "chains", "findings"])
def test_in_a_terminal(
    verb: str, capture: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["forensics", verb, str(capture)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capfd.readouterr()
    assert ended.value.code in (0, None) and "KEPT" in out
    assert all(line.isprintable() for line in (*out.splitlines(), *err.splitlines()))


def test_no_file_is_named_by_a_string(capture: Path) -> None:
    names = sorted(path.name for path in capture.rglob("*"))
    assert all(text not in name for name in names for text in (*PLANTED, "passwd"))
