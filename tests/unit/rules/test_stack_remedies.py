"""The remedies of the rules by stacks, and of the guards, are taken by the languages they are written in."""

from __future__ import annotations

import ast
import subprocess

import pytest

from forensics.rules import GUARDS, STACK_RULES
from forensics.rules.by_handlers import PATTERNS
from tests.conftest import require

REMEDIES = [
    (f"{rule.id}-{remedy.language}", remedy)
    for rule in (*STACK_RULES, *GUARDS, *PATTERNS.values())
    for remedy in rule.remedies.values()
    if remedy.code
]


def of(language: str):
    found = [(name, each.code) for name, each in REMEDIES if each.language == language]
    return pytest.mark.parametrize("code", [code for _, code in found], ids=[name for name, _ in found])


def test_every_remedy_is_in_a_language_that_is_tried_here_or_in_rust():
    assert {each.language for _, each in REMEDIES} == {"python", "go", "javascript", "rust"}


@of("python")
def test_python(code):
    compile(ast.parse(code), "remedy", "exec")


@of("javascript")
def test_javascript(code, tmp_path):
    node = require("node", "the remedies are JavaScript")
    file = tmp_path / "remedy.mjs"
    file.write_text(code)
    run = subprocess.run([node, "--check", file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_go(tmp_path):
    """Declarations stand for themselves, statements in a function; gofmt reads the syntax of all of them at once."""
    gofmt = require("gofmt", "the remedies are Go")
    for name, remedy in REMEDIES:
        if remedy.language != "go":
            continue
        declares = remedy.code.lstrip().startswith(("func", "type", "var", "const", "//"))
        body = remedy.code if declares else f"func remedy() {{\n{remedy.code}\n}}"
        (tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}.go").write_text(f"package remedy\n\n{body}\n")
    run = subprocess.run(
        [gofmt, "-e", "-l", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0 and not run.stderr, run.stderr
