"""Every notebook runs from top to bottom on the real capture that comes along, as a reader would run it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from forensics.lab import CAPTURE_VARIABLE, bundled_capture
from forensics.report.notebook import export_notebook
from forensics.resources import notebooks

NOTEBOOKS = sorted(notebooks().glob("*.ipynb"))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


@pytest.fixture(scope="module")
def own_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: judging a capture writes into it."""
    return Path(shutil.copytree(bundled_capture("leaking"), tmp_path_factory.mktemp("capture") / "leaking"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.timeout(300)
def test_it_runs_from_top_to_bottom_and_exports_without_an_address_outside(
    path: Path, tmp_path: Path, own_capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, str(own_capture))
    monkeypatch.setenv("PLOTLY_RENDERER", "plotly_mimetype")
    notebook = read(path)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(shown) >= 2, "a notebook that shows nothing"
    assert not [o for cell in shown for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]
    nbformat.write(notebook, tmp_path / path.name)
    page = export_notebook(tmp_path / path.name).read_text()
    assert len(page.encode()) < 12_000_000
    assert not re.findall(r"""<(?:script|img|link|iframe)[^>]*\s(?:src|href)\s*=\s*["']?(?!data:)""", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_keeps_to_the_habits(path: Path) -> None:
    notebook = read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert "parameters" in code[0].metadata.get("tags", [])
    assert [cell.id for cell in notebook.cells] == [
        f"cell-{n:02d}" for n in range(1, len(notebook.cells) + 1)
    ]
    for cell in code:
        assert cell.outputs == []
        assert cell.execution_count is None
        assert not re.search(r"^\s*(def|class|async def) ", cell.source, re.MULTILINE)
        assert len(cell.source.splitlines()) <= 16


def test_every_notebook_is_reachable_from_the_first() -> None:
    first = json.dumps(read(NOTEBOOKS[0]).cells)
    for path in NOTEBOOKS[1:]:
        assert f"({path.name})" in first


def test_every_notebook_asks_one_question() -> None:
    for path in NOTEBOOKS[1:]:
        assert read(path).cells[0].source.splitlines()[0].endswith("?")
