"""The flame page in a real browser: search, threshold and table work on each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensics import formats
from forensics.plots.flame_graph import flame_page

DATA = Path(__file__).parents[1] / "data" / "profiles"


@pytest.fixture
def page_of(browser, tmp_path):
    def opened(source):
        file = tmp_path / "flame.html"
        file.write_text(flame_page(source))
        page = browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_function("document.getElementById('flame').data !== undefined")
        return page, errors

    return opened


def test_search_threshold_and_table(page_of):
    page, errors = page_of(formats.load(DATA / "memray-normal.bin", over_time=False))
    count = "document.getElementById('flame').data[0].ids.length"
    every = page.evaluate(count)
    page.fill("#search", "fetch_page")
    page.wait_for_function("document.getElementById('found').textContent.includes('found')")
    share = float(page.text_content("#found").split(" ")[0])
    assert share > 90
    assert page.evaluate("document.getElementById('flame').data[0].marker.colors.includes('#facc15')")
    assert page.locator("#places tbody tr:visible").count() < page.locator("#places tbody tr").count()
    page.fill("#search", "")
    page.evaluate(
        "const r = document.getElementById('least'); r.value = 5; r.dispatchEvent(new Event('input'))"
    )
    assert page.evaluate(count) < every
    page.locator("#places tbody tr").first.click()
    assert page.input_value("#search").startswith("orders/db.py")
    assert errors == []
