"""A real JupyterLab in a real browser: run the notebooks, walk the graph, export the report and open it offline."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from forensics.lab import bundled_capture, prepare
from forensics.report.notebook import export_notebook
from forensics.resources import notebooks
from tests.browser.conftest import PHONE, Window
from tests.browser.lab import Lab, choose_theme, faint_texts, run_all


@pytest.fixture(scope="module")
def lab(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    capture = Path(shutil.copytree(bundled_capture("leaking"), folder / "capture"))
    running = Lab(prepare(folder / "work").folder, capture)
    yield running
    running.stop()


#: Those whose outputs are looked at more closely, in ``LOOKS``, are run there too, once.
NOTEBOOKS = sorted(path.name for path in notebooks().glob("*.ipynb"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_reads_well_in_light_and_dark(
    name: str, lab: Lab, window: Callable[..., Window], tmp_path: Path
) -> None:
    """All cells run without an error, an error in the console or a request to elsewhere, in both themes."""
    shown = window(lab.home, lab.home.replace("http", "ws"))
    run_all(shown.page, lab.address(name))
    assert faint_texts(shown.page) == []
    if name in LOOKS:
        LOOKS[name](lab, shown.page, window, tmp_path)
    choose_theme(shown.page, "Dark")
    assert faint_texts(shown.page) == []
    for graph in shown.page.locator(".fx-graph").all():
        expect(graph).to_have_attribute("data-theme", "dark")
    choose_theme(shown.page, "Light")
    assert shown.outside == []
    assert shown.troubles == []


def the_graph_can_be_walked(lab: Lab, page: Page, window: Callable[..., Window], folder: Path) -> None:
    graph = page.locator(".fx-graph").first
    graph.scroll_into_view_if_needed()
    assert graph.locator("canvas").count() >= 1
    expect(graph.locator(".fx-details h4")).to_have_text("orders.api.RESPONSES", timeout=20_000)
    expect(graph.locator(".fx-details")).to_contain_text("MiB")

    graph.get_by_role("button", name="Collapse").click()
    few = int(graph.get_attribute("data-shown") or 0)
    graph.locator(".fx-canvas").focus()
    page.keyboard.press("ArrowDown")  # the root, for what was chosen is folded away
    page.keyboard.press("Enter")
    expect(graph).to_have_attribute("data-shown", "1")
    page.keyboard.press("Enter")
    expect(graph).to_have_attribute("data-shown", str(few))

    graph.get_by_role("button", name="Expand all").click()
    assert int(graph.get_attribute("data-shown") or 0) > few
    graph.get_by_role("searchbox").fill("RESPONSES")
    expect(graph.locator(".fx-status")).to_contain_text("places contain")
    graph.get_by_role("searchbox").fill("")

    graph.get_by_role("button", name="List").click()
    expect(graph.get_by_role("treeitem").first).to_be_visible()
    graph.get_by_role("button", name="Graph").click()


def the_panel_follows_its_holder(lab: Lab, page: Page, window: Callable[..., Window], folder: Path) -> None:
    expect(page.locator(".fx-card").first).to_contain_text("snapshot 2")
    panel = page.locator(".jp-OutputArea-output", has_text="Choose two moments").last
    expect(panel).to_contain_text("What to change")
    chosen = panel.locator(".fx-graph .fx-details h4")
    expect(chosen).to_have_text("orders.api.RESPONSES", timeout=20_000)


def the_figures_are_exported(lab: Lab, page: Page, window: Callable[..., Window], folder: Path) -> None:
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.keyboard.press("Control+s")
    saved = lab.folder / "02_is_it_leaking.ipynb"
    until = time.monotonic() + 20
    while "vnd.plotly" not in saved.read_text() and time.monotonic() < until:
        time.sleep(0.3)
    exported = export_notebook(saved, folder / "page.html")
    alone = window(exported.as_uri(), offline=True)
    alone.page.goto(exported.as_uri())
    alone.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert alone.page.locator(".js-plotly-plot").count() == 2
    assert alone.outside == []
    assert alone.troubles == []


def the_report_opens_offline(lab: Lab, page: Page, window: Callable[..., Window], folder: Path) -> None:
    report = lab.folder / "report.html"
    alone = window(report.as_uri(), offline=True)
    alone.page.goto(report.as_uri())
    expect(alone.page.locator("main")).to_contain_text("orders.api.RESPONSES")
    assert alone.outside == []
    assert alone.troubles == []


@pytest.mark.timeout(300)
def test_the_graph_on_a_phone(lab: Lab, window: Callable[..., Window]) -> None:
    """JupyterLab shows one document at this width; the graph fits, is legible round the chosen place, and works."""
    shown = window(lab.home, lab.home.replace("http", "ws"), size=PHONE)
    page = shown.page
    run_all(page, lab.address("04_who_holds_it.ipynb").replace("/lab/tree/", "/doc/tree/"))
    graph = page.locator(".fx-graph").first
    graph.scroll_into_view_if_needed()
    expect(graph.locator(".fx-details h4")).to_have_text("orders.api.RESPONSES", timeout=20_000)
    assert graph.evaluate("e => e.scrollWidth <= e.clientWidth")
    whole = graph.bounding_box()
    for button in graph.locator(".fx-tools button").all():
        box = button.bounding_box()
        assert whole and box and box["x"] + box["width"] <= whole["x"] + whole["width"]
    graph.get_by_role("button", name="List").click()
    chosen = graph.locator("[role=treeitem][aria-selected=true] > button")
    expect(chosen).to_contain_text("orders.api.RESPONSES")
    assert chosen.evaluate("e => e.closest('.fx-tree').scrollWidth <= e.closest('.fx-tree').clientWidth + 1")
    graph.get_by_role("button", name="Graph").click()
    assert graph.locator("canvas").count() >= 1
    assert shown.outside == []
    assert shown.troubles == []


LOOKS = {
    "00_start_here.ipynb": the_panel_follows_its_holder,
    "02_is_it_leaking.ipynb": the_figures_are_exported,
    "04_who_holds_it.ipynb": the_graph_can_be_walked,
    "09_report.ipynb": the_report_opens_offline,
}
