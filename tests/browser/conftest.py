"""A real browser: Debian's Chromium through playwright, without any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import require

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

LAPTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}


@dataclass
class Window:
    """A page with what went wrong in it: console errors, exceptions, requests that left the machine."""

    page: Page
    context: BrowserContext
    troubles: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self, *homes: str) -> None:
        def request(url: str) -> None:
            if not url.startswith((*homes, "data:", "blob:")):
                self.outside.append(url)

        self.page.on("console", lambda m: self.troubles.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.context.on("request", lambda sent: request(sent.url))


# For a module, not for the session: while it is there, an event loop runs in this thread and asyncio.run() cannot.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = require("chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def window(browser: Browser) -> Iterator[Callable[..., Window]]:
    """``window(*homes, width=…, dark=…, offline=…)``: a new window that notes requests to anywhere but ``homes``."""
    opened: list[BrowserContext] = []

    def open_window(
        *homes: str, size: dict[str, int] = LAPTOP, dark: bool = False, offline: bool = False
    ) -> Window:
        context = browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if dark else "light",
            offline=offline,
        )
        opened.append(context)
        made = Window(context.new_page(), context)
        made.watch(*homes)
        return made

    yield open_window
    for context in opened:
        context.close()
