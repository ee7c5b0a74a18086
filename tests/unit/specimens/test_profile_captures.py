"""The captures of compiled services that come along: judged as they lie there, small, silent on their machine."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

import forensics as fx
from forensics import resources
from forensics.formats.pprof_schema import Profile
from forensics.specimens.desk import DESK, RUST_DESK

#: Clients of the Go SDK grew by 150 kB while the capture of ``echo`` was taken, which is less than is told from noise.
SERVICES = {
    "echo": {route: name for route, name in DESK.items() if route != "tenant"},
    "actix": RUST_DESK,
    "axum": RUST_DESK,
}
#: Where a common installation has its sources, and compilers those of their standard libraries.
COMMON = ("/srv/orders/", "/home/orders/", "/rustc/", "/rust/deps/", "/usr/", "/lib/", "/lib64/", "/debug/")
ARCHIVES = Path(__file__).parents[3] / "captures"


@pytest.mark.parametrize("service", SERVICES)
def test_every_leak_is_found_and_the_mended_twin_is_clean(service):
    folder = resources.captures() / service
    loud = fx.findings(folder / "leaking").at_least("low")
    found = {finding.retainer.chain[0].rpartition("::")[2].rpartition(".")[2] for finding in loud}
    assert found == set(SERVICES[service].values())
    assert not fx.findings(folder / "mended").at_least("low")
    assert fx.verify(folder / "leaking", folder / "mended").fixed


@pytest.mark.parametrize("service", SERVICES)
def test_each_is_written_as_a_report(service, tmp_path):
    pages = fx.report(resources.captures() / service / "leaking", tmp_path / "report.html").read_text()
    assert pages.count("<dt>Keeps</dt>") >= len(SERVICES[service])
    assert "None elements" not in pages and " 0 elements" not in pages


@pytest.mark.parametrize("service", SERVICES)
def test_they_are_small_and_tell_nothing_of_their_machine(service):
    assert (ARCHIVES / resources.archive_of(service)).stat().st_size < 1_000_000
    for file in sorted((resources.captures() / service).rglob("*.pb.gz")):
        strings = Profile.FromString(gzip.decompress(file.read_bytes())).string_table
        strange = [text for text in strings if text.startswith("/") and not text.startswith(COMMON)]
        assert not strange, (file, strange[:5])
        assert not [text for text in strings if re.search(r"/registry/src/(?!registry/)", text)]
    for manifest in (resources.captures() / service).rglob("manifest.json"):
        assert json.loads(manifest.read_text())["host"] == "orders-1"
