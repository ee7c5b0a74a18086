"""The remedies for Go are code that the compiler takes, with the modules that the services use at their pins."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from forensics.rules import GUARDS, STACK_RULES
from forensics.rules.by_handlers import PATTERNS
from forensics.specimens.building import go_program
from forensics.specimens.program import SpecimenError
from forensics.specimens.service import SPECIMENS
from tests.conftest import require

#: The SDK is compiled where nothing was built before.
pytestmark = pytest.mark.timeout(900)

SDK = "github.com/aws/aws-sdk-go-v2"
#: Package by the name that code calls it; what a remedy names and is not here does not compile.
PACKAGES = {
    "aws": f"{SDK}/aws",
    "awsmiddleware": f"{SDK}/aws/middleware",
    "config": f"{SDK}/config",
    "context": "context",
    "debug": "runtime/debug",
    "dynamodb": f"{SDK}/service/dynamodb",
    "http": "net/http",
    "middleware": "github.com/aws/smithy-go/middleware",
    "runtime": "runtime",
    "strings": "strings",
    "sync": "sync",
    "time": "time",
    "types": f"{SDK}/service/dynamodb/types",
}


def remedies() -> dict[str, str]:
    """Code by a package's name; the same code once, whichever rules give it."""
    codes = dict.fromkeys(
        remedy.code
        for rule in (*PATTERNS.values(), *STACK_RULES, *GUARDS)
        for remedy in rule.remedies.values()
        if remedy.language == "go" and remedy.code
    )
    return {f"remedy{number:02d}": code for number, code in enumerate(codes)}


def source(name: str, code: str) -> str:
    """A file of a package: declarations stand for themselves, statements in a function."""
    body = code if re.match(r"(func|type|var|const|//)", code) else f"func remedy() {{\n{code}}}\n"
    used = [f'\t{each} "{path}"\n' for each, path in PACKAGES.items() if re.search(rf"\b{each}\.[A-Z]", code)]
    return f"package {name}\n\nimport (\n{''.join(used)})\n\n{body}"


def module(folder: Path, codes: dict[str, str]) -> Path:
    """A module of one package for each remedy, beside a program that takes them all in."""
    folder.mkdir()
    for pins in ("go.mod", "go.sum"):
        shutil.copy(SPECIMENS / "echo" / "mended" / pins, folder)
    for name, code in codes.items():
        (folder / name).mkdir()
        (folder / name / f"{name}.go").write_text(source(name, code))
    imports = "".join(f'\t_ "orders/{name}"\n' for name in codes)
    (folder / "main.go").write_text(f"package main\n\nimport (\n{imports})\n\nfunc main() {{}}\n")
    return folder


def test_the_remedies_compile(tmp_path):
    require("go", "install Go 1.26 or newer")
    codes = remedies()
    assert len(codes) >= 12
    assert go_program("guidance-go", module(tmp_path / "guidance", codes)).stat().st_size > 0


def test_a_remedy_that_misuses_the_sdk_does_not(tmp_path):
    require("go", "install Go 1.26 or newer")
    wrong = {"wrong": "func ids(out *dynamodb.QueryOutput) []string { return []string{out.ID} }\n"}
    with pytest.raises(SpecimenError, match="go build failed") as caught:
        go_program("guidance-wrong", module(tmp_path / "wrong", wrong))
    assert "out.ID undefined" in str(caught.value.advice)
