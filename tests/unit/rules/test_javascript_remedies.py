"""The remedies for Node: one for each rule that judges Node, each of them JavaScript that Node takes."""

from __future__ import annotations

import subprocess

import pytest

from forensics.rules import RULES
from forensics.rules.javascript import CAPTURED, REMEDIES
from tests.conftest import require

CODES = {**{name: remedy.code for name, remedy in REMEDIES.items()}, "captured": CAPTURED.code}
NODE_RULES = [rule for rule in RULES if "node" in rule.runtimes]


def test_every_rule_for_node_has_a_remedy_in_javascript():
    assert {rule.id for rule in NODE_RULES} == set(REMEDIES)
    for rule in NODE_RULES:
        assert rule.remedy("node").language == "javascript"
        assert rule.remedy("python").language == "python"


@pytest.mark.parametrize("name", sorted(CODES))
def test_the_code_is_taken_by_node(name, tmp_path):
    node = require("node", "the remedies are JavaScript")
    file = tmp_path / "remedy.js"
    file.write_text(CODES[name])
    run = subprocess.run([node, "--check", file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
