"""README says what is there: its commands exist, its verbs are the live ones, its examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

import forensics as fx
from forensics import resources
from forensics.cli import app

CLONE = Path(__file__).parents[2]
README = (CLONE / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line for language, block in BLOCKS if language == "" for line in block.splitlines() if line]


def live_verbs() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (CLONE / "Makefile").read_text(), re.MULTILINE))


def test_the_first_two_commands_are_the_demo_and_the_tests():
    assert COMMANDS[:2] == ["make demo", "make test"]


def test_every_make_target_it_names_is_there():
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test", "lab", "lint", "captures", "bench"} <= named
    assert named <= make_targets()


def test_the_table_of_verbs_is_that_of_the_command_line():
    documented = re.findall(r"^\| `forensics (\w+)", README, re.MULTILINE)
    assert sorted(documented) == sorted(live_verbs())


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("forensics ")])
def test_its_commands_are_understood(line):
    """Verb and options exist and the arguments parse; nothing is run."""
    _, verb, *words = shlex.split(line)
    command = live_verbs()[verb]
    command.make_context(verb, words)


def test_options_in_the_text_exist():
    options = {option for command in live_verbs().values() for each in command.params for option in each.opts}
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", README))
    assert named <= options


def test_its_python_runs(tmp_path, monkeypatch):
    (program,) = (block for language, block in BLOCKS if language == "python")
    (tmp_path / "before").symlink_to(resources.captures() / "fastapi" / "leaking")
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(compile(program, "README.md", "exec"), scope)
    assert len(scope["capture"].findings()) > 0


def test_every_verb_is_a_public_function():
    functions = {"import": "import_files"}
    for verb in live_verbs():
        assert callable(getattr(fx, functions.get(verb, verb)))


def test_its_files_and_folders_are_there():
    for name in re.findall(r"`((?:forensics|captures|notebooks)/[\w/]+|\.ci/run)`", README):
        if name.startswith("captures/"):
            resources.captures()
        assert (CLONE / name).exists(), name


def test_its_pictures_are_there():
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (CLONE / name).is_file(), name


def test_make_says_what_it_offers():
    said = subprocess.run(["make"], cwd=CLONE, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "lab", "lint", "captures", "bench"):
        assert f"make {target}" in said
