"""A real JupyterLab in a real browser: run the notebooks, walk the graph, export the report and open it offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from forensics.lab import bundled_capture, command, environment, prepare
from forensics.report.notebook import export_notebook
from forensics.specimens.program import free_port
from tests.browser.conftest import Window

TOKEN = "a-token-of-this-test"


class Lab:
    """A running JupyterLab as ``forensics lab`` starts it, less the wait for Ctrl-C."""

    def __init__(self, folder: Path, capture: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.home = f"http://127.0.0.1:{self.port}"
        own = folder.parent / "jupyter"
        variables = {
            **environment(folder, capture),
            "JUPYTER_CONFIG_DIR": str(own / "config"),
            "JUPYTER_DATA_DIR": str(own / "data"),
            "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        }
        arguments = [*command(folder, self.port, False), f"--IdentityProvider.token={TOKEN}"]
        if os.geteuid() == 0:
            arguments.append("--allow-root")
        self.log = folder.parent / "jupyter.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(arguments, env=variables, stdout=log, stderr=subprocess.STDOUT)
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.home}/api?token={TOKEN}", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.3)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def address(self, notebook: str) -> str:
        return f"{self.home}/lab/tree/{notebook}?token={TOKEN}&reset"


@pytest.fixture(scope="module")
def lab(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    capture = Path(shutil.copytree(bundled_capture("leaking"), folder / "capture"))
    running = Lab(prepare(folder / "work").folder, capture)
    yield running
    running.stop()


def run_all(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_function(
        """() => {
          const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent);
          return prompts.length > 1 && prompts.every(text => /\\[\\d+\\]/.test(text));
        }""",
        timeout=120_000,
    )
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0


@pytest.mark.timeout(300)
def test_the_reference_graph_can_be_walked(lab: Lab, window: Callable[..., Window]) -> None:
    shown = window(lab.home, lab.home.replace("http", "ws"))
    page = shown.page
    run_all(page, lab.address("04_who_holds_it.ipynb"))
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
    assert shown.outside == []
    assert shown.troubles == []


@pytest.mark.timeout(300)
def test_the_triage_panel_follows_its_holder(lab: Lab, window: Callable[..., Window]) -> None:
    shown = window(lab.home, lab.home.replace("http", "ws"))
    page = shown.page
    run_all(page, lab.address("00_start_here.ipynb"))
    expect(page.locator(".fx-card").first).to_contain_text("snapshot 2")
    panel = page.locator(".jp-OutputArea-output", has_text="Choose two moments").last
    expect(panel).to_contain_text("What to change")
    chosen = panel.locator(".fx-graph .fx-details h4")
    expect(chosen).to_have_text("orders.api.RESPONSES", timeout=20_000)
    assert shown.outside == []
    assert shown.troubles == []


@pytest.mark.timeout(300)
def test_figures_are_drawn_and_the_notebook_is_exported_with_them(
    lab: Lab, window: Callable[..., Window], tmp_path: Path
) -> None:
    shown = window(lab.home, lab.home.replace("http", "ws"))
    page = shown.page
    run_all(page, lab.address("02_is_it_leaking.ipynb"))
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.keyboard.press("Control+s")
    saved = lab.folder / "02_is_it_leaking.ipynb"
    until = time.monotonic() + 20
    while "vnd.plotly" not in saved.read_text() and time.monotonic() < until:
        time.sleep(0.3)
    exported = export_notebook(saved, tmp_path / "page.html")
    alone = window(exported.as_uri(), offline=True)
    alone.page.goto(exported.as_uri())
    alone.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert alone.page.locator(".js-plotly-plot").count() == 2
    assert alone.outside == []
    assert alone.troubles == []
    assert shown.outside == []
    assert shown.troubles == []


@pytest.mark.timeout(300)
def test_the_report_is_exported_and_opens_offline(lab: Lab, window: Callable[..., Window]) -> None:
    shown = window(lab.home, lab.home.replace("http", "ws"))
    run_all(shown.page, lab.address("09_report.ipynb"))
    report = lab.folder / "report.html"
    alone = window(report.as_uri(), offline=True)
    alone.page.goto(report.as_uri())
    expect(alone.page.locator("main")).to_contain_text("orders.api.RESPONSES")
    assert alone.outside == []
    assert alone.troubles == []
    assert shown.troubles == []
