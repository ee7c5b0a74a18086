"""The report in a real browser, from disk, the network off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from forensics.report import write_report
from tests.browser.conftest import LAPTOP, PHONE, Window
from tests.unit.report.handmade import HOSTILE, HandmadeCapture


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(HandmadeCapture(hostile=True), tmp_path_factory.mktemp("report") / "report.html")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_it_opens_offline_without_a_trouble(
    window: Callable[..., Window], report: Path, size: dict[str, int], dark: bool
) -> None:
    shown = window(report.as_uri(), size=size, dark=dark, offline=True)
    shown.page.goto(report.as_uri())
    assert shown.page.get_by_role("heading", name="Summary").is_visible()
    assert shown.page.locator("svg.fx-chain").first.is_visible()
    assert shown.troubles == []
    assert shown.outside == []


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_nothing_is_wider_than_the_window(
    window: Callable[..., Window], report: Path, size: dict[str, int]
) -> None:
    page = window(report.as_uri(), size=size, offline=True).page
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_theme_follows_the_reader(window: Callable[..., Window], report: Path) -> None:
    colours = []
    for dark in (False, True):
        page = window(report.as_uri(), dark=dark, offline=True).page
        page.goto(report.as_uri())
        told = "e => getComputedStyle(e)"
        colours.append(
            (
                page.locator("body").evaluate(f"{told}.backgroundColor"),
                page.locator("svg.fx-chain rect.box").first.evaluate(f"{told}.fill"),
                page.locator("svg.fx-chain text.name").first.evaluate(f"{told}.fill"),
            )
        )
    assert all(light != dark for light, dark in zip(*colours, strict=True))


def test_planted_script_does_not_run_and_is_read_as_text(window: Callable[..., Window], report: Path) -> None:
    page = window(report.as_uri(), offline=True).page
    page.goto(report.as_uri())
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("[...document.querySelectorAll('*')].filter(e => e.onload || e.onerror).length") == 0
    text = page.locator("main").inner_text()
    for planted in (HOSTILE[0], HOSTILE[2], HOSTILE[6], HOSTILE[7], HOSTILE[9]):
        assert planted in text


def test_it_prints_light_with_checksums_and_whole_code(
    window: Callable[..., Window], report: Path, tmp_path: Path
) -> None:
    page = window(report.as_uri(), dark=True, offline=True).page
    page.goto(report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"
    assert page.get_by_text("ab" * 32).is_visible()
    assert page.locator("pre").first.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_charts_and_pictures_fit_and_can_be_read(
    window: Callable[..., Window], report: Path, size: dict[str, int]
) -> None:
    """No chart is scrolled sideways, and none is shrunk until its text is too small; a wide picture is told."""
    page = window(report.as_uri(), size=size, offline=True).page
    page.goto(report.as_uri())
    shown = page.locator(".fx-chart:visible")
    assert shown.count() >= 2
    for chart in shown.all():
        assert chart.evaluate("e => e.closest('.scroll').scrollWidth <= e.closest('.scroll').clientWidth")
        assert chart.evaluate("e => 11.5 * e.getBoundingClientRect().width / e.viewBox.baseVal.width") >= 8.5
    phone = size is PHONE
    assert page.locator(".written").first.is_visible() == phone
    assert page.locator(".drawn svg.fx-chain").first.is_visible() != phone
