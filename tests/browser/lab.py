"""A real JupyterLab, started as ``forensics lab`` starts it, and what a reader does in it."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import Page

from forensics.lab import command, environment
from forensics.specimens.program import free_port

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


def choose_theme(page: Page, name: str) -> None:
    """``Light`` or ``Dark``, by the command that the menu runs."""
    page.keyboard.press("Control+Shift+c")
    palette = (
        page.get_by_role("dialog").get_by_role("textbox").or_(page.locator(".lm-CommandPalette-input")).first
    )
    palette.fill(f"Use Theme: JupyterLab {name}")
    page.locator(".lm-CommandPalette-item").first.click()
    page.locator(f"body[data-jp-theme-light={'false' if name == 'Dark' else 'true'}]").wait_for(
        state="attached"
    )


#: The texts of our own outputs that stand out too little from what is behind them (WCAG 2: 4.5, or 3 where large).
FAINT = """() => {
  const parse = text => { const m = text.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const light = rgb => {
    const linear = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.slice(0, 3).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0.9) return colour;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  for (const e of document.querySelectorAll('.jp-OutputArea-output *')) {
    const words = [...e.childNodes].filter(n => n.nodeType === 3).map(n => n.textContent.trim()).join('');
    if (!words || e.closest('style, script, svg, pre, .jp-RenderedText') || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    if (style.visibility === 'hidden' || +style.opacity < 0.5) continue;
    const [a, b] = [light(parse(style.color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 3) found.push(`${ratio.toFixed(1)} ${words.slice(0, 60)}`);
  }
  return [...new Set(found)];
}"""


def faint_texts(page: Page) -> list[str]:
    """Ratio and text of what can hardly be read in the outputs as they are shown."""
    return list(page.evaluate(FAINT))
