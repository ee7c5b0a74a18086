"""The remedies for Rust are code that the compiler takes, with the SDK that the services use."""

from __future__ import annotations

import shutil

import pytest

from forensics.rules import GUARDS, STACK_RULES
from forensics.rules.by_handlers import PATTERNS
from forensics.specimens.building import rust_program
from forensics.specimens.service import SPECIMENS
from tests.conftest import require

#: The crates of the specimens are compiled where nothing was built before.
pytestmark = pytest.mark.timeout(1800)

MANIFEST = """\
[package]
name = "guidance"
version.workspace = true
edition.workspace = true
publish.workspace = true

[dependencies]
aws-sdk-dynamodb.workspace = true
tikv-jemallocator.workspace = true
tokio.workspace = true
"""
USES = """\
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::operation::query::QueryOutput;

"""


def test_the_remedies_compile(tmp_path):
    require("cargo", "install Cargo 1.95 or newer")
    codes = dict.fromkeys(
        remedy.code
        for rule in (*PATTERNS.values(), *STACK_RULES, *GUARDS)
        for remedy in rule.remedies.values()
        if remedy.language == "rust"
    )
    remedies = {f"remedy{number:02d}": code for number, code in enumerate(codes)}
    assert len(remedies) >= 11
    workspace = tmp_path / "rust"
    shutil.copytree(SPECIMENS / "rust", workspace)
    manifest = workspace / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace('"axum"]', '"axum", "guidance"]'))
    modules = [f"mod {name} {{\n{USES}{code}}}\n" for name, code in remedies.items()]
    source = workspace / "guidance" / "src" / "main.rs"
    source.parent.mkdir(parents=True)
    (workspace / "guidance" / "Cargo.toml").write_text(MANIFEST)
    source.write_text("#![allow(dead_code, unused_imports)]\n" + "\n".join(modules) + "\nfn main() {}\n")
    assert rust_program("guidance", workspace).stat().st_size > 0
