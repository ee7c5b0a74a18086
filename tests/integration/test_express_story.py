"""The main job for Node, through the command line: a leaking Express service by its PID, and its mended twin."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import forensics as fx
from forensics.specimens.load import Load
from forensics.specimens.service import SPECIMENS, Service, express
from tests.conftest import ORDERS, require


def forensics(*words: object, code: int = 0) -> str:
    command = [sys.executable, "-m", "forensics.cli", *map(str, words)]
    wide = {
        **os.environ,
        "COLUMNS": "200",
    }  # tables are fitted to the terminal, and would break paths into lines
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=wide)
    assert run.returncode == code, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def captures(moto, tmp_path_factory):
    require("npm", "the Express specimen needs Node.js with npm")
    folder = tmp_path_factory.mktemp("express")
    for variant in ("leaking", "mended"):
        with Service(express(variant), moto) as service:
            with Load(service.url, orders=ORDERS, per_second=30) as load:
                load.wait_for(120)  # more than fills the mended service's cache
                out = folder / variant
                forensics("capture", service.pid, "--to", out, "--snapshots", 3, "--every", 5)
                result = load.stop()
            assert (result.failed, result.failures) == (0, {})
            assert service.program.running
    return folder


def test_the_finding_names_holder_operation_table_and_line(captures):
    said = json.loads(forensics("findings", captures / "leaking", "--json"))
    assert said["schema"] == "forensics.findings/1"
    first = said["findings"][0]
    assert first["runtime"] == "node"
    assert first["rule"] == "L03"
    assert first["severity"] in ("critical", "high")
    assert first["retainer"]["path"] == "api.js · responses"
    assert first["retainer"]["kind"] == "module-variable"
    source = SPECIMENS / "express" / "leaking" / "api.js"
    assert first["retainer"]["file"] == str(source)
    assert "const responses = new Map()" in source.read_text().splitlines()[first["retainer"]["line"] - 1]
    assert first["growth"]["shape"] == "growing"
    told = first["dynamodb"]
    assert (told["kind"], told["operation"], told["table"]) == ("response", "Query", "Orders")
    assert first["remediation"]["language"] == "javascript"
    assert any("responses.set(question, answer)" in line for line in first["evidence"])


def test_the_mended_twin_is_clean_and_verified(captures):
    said = json.loads(forensics("findings", captures / "mended", "--json", "--fail-on", "low"))
    assert {each["severity"] for each in said["findings"]} <= {"info"}
    assert "fixed" in forensics("verify", captures / "leaking", captures / "mended")
    assert "not fixed" in forensics("verify", captures / "leaking", captures / "leaking", code=1)


def test_every_other_verb_works_on_it(captures, tmp_path):
    leaking = captures / "leaking"
    shown = forensics("show", leaking)
    assert "api.js · responses" in shown and "node" in shown
    assert "api.js · responses" in forensics("diff", leaking)
    # neither V8's list of its roots is a holder nor Node's own buffers data
    holders = fx.open(leaking).snapshots[-1].holders()
    assert len(holders) and "(root)" not in {each.path for each in holders}
    assert "response" in forensics("chains", leaking, "--to", "response")
    everything = forensics("chains", leaking)
    assert "response" in everything and "crlf_buf" not in everything
    kinds = json.loads(forensics("sql", leaking, "SELECT count(*) AS n FROM objects", "--json"))
    assert kinds[0]["n"] == len(fx.open(leaking).snapshots[-1])
    for suffix in ("html", "md", "sarif", "json"):
        file = tmp_path / f"report.{suffix}"
        forensics("report", leaking, "-o", file)
        assert "api.js" in file.read_text()


def test_values_stay_masked_and_the_manifest_says_what_it_cost(captures):
    capture = fx.open(captures / "leaking")
    raw = b"".join(file.read_bytes() for file in capture.folder.rglob("*") if file.is_file())
    assert b"@mail.example" not in raw
    assert capture.manifest["via"] == "inspector"
    for entry in capture.manifest["snapshots"]:
        assert entry["pause_seconds"] > 0
        assert entry["secrets"]["e-mail address"] > 0
