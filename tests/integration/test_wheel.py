"""A wheel is enough: built, installed into an empty environment outside the clone, and used from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]


def run(*command: str | Path, folder: Path, code: int = 0, seconds: float = 240) -> str:
    """Run a program far from the clone, with nothing of this environment on its path; its standard output."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    }
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this clone, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        folder,
        CLONE,
        folder=folder,
    )
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment into which the wheel alone was installed, with what it depends on."""
    folder = tmp_path_factory.mktemp("away")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, folder=folder, seconds=900)
    return folder


def forensics(installed: Path, *words: str | Path, code: int = 0) -> str:
    return run(installed / "env" / "bin" / "forensics", *words, folder=installed, code=code)


def python(installed: Path, program: str) -> str:
    return run(installed / "env" / "bin" / "python", "-c", program, folder=installed)


def test_the_wheel_carries_what_is_not_code(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        *(f"forensics/_data/captures/{path.name}" for path in (CLONE / "captures").glob("*.tar.xz")),
        "forensics/specimens/fastapi/leaking/orders/api.py",
        "forensics/specimens/fastapi/mended/orders/cache.py",
    ):
        assert wanted in names
    in_clone = {f"forensics/_data/notebooks/{path.name}" for path in (CLONE / "notebooks").glob("*.ipynb")}
    assert in_clone
    assert in_clone <= set(names)


def test_every_tracked_file_of_the_package_is_in_the_wheel(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "forensics"], cwd=CLONE, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    missing = {name for name in tracked if name} - set(zipfile.ZipFile(wheel).namelist())
    assert missing == set()


def test_the_wheel_carries_nothing_else(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"forensics"}


@pytest.mark.timeout(1200)
def test_it_is_installed_away_from_the_clone(installed):
    where = python(installed, "import forensics; print(forensics.__file__)").strip()
    assert Path(where).is_relative_to(installed)


def test_the_captures_that_come_along_are_judged(installed):
    folder = Path(python(installed, "from forensics import resources; print(resources.captures())").strip())
    assert folder.is_relative_to(installed / "cache")

    record = json.loads(forensics(installed, "findings", folder / "fastapi" / "leaking", "--json"))
    assert record["findings"][0]["retainer"]["path"] == "orders.api.RESPONSES"

    report = installed / "report.html"
    forensics(installed, "report", folder / "fastapi" / "leaking", "-o", report)
    assert "orders.api.RESPONSES" in report.read_text()


def test_the_lab_puts_the_notebooks_into_a_folder_of_the_users(installed):
    bench = installed / "bench"
    program = f"from forensics.lab import prepare; print(prepare({str(bench)!r}).folder)"
    assert Path(python(installed, program).strip()) == bench
    assert {path.name for path in bench.glob("*.ipynb")} == {
        path.name for path in (CLONE / "notebooks").glob("*.ipynb")
    }
    assert "capture" in forensics(installed, "lab", "--help").lower()


@pytest.mark.timeout(400)
def test_the_demo_runs(installed):
    out = installed / "out"
    printed = forensics(installed, "demo", "--out", out)
    assert "orders.api.RESPONSES" in printed
    assert (out / "report.html").stat().st_size > 10_000
    record = json.loads(forensics(installed, "findings", out / "mended", "--json"))
    assert [finding for finding in record["findings"] if finding["severity"] != "info"] == []
