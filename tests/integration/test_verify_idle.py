"""A service that had nothing to do proves nothing: verify says so, of Python and of Node."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

import forensics as fx
from forensics.activity import IDLE, activity
from forensics.specimens.load import Load
from forensics.specimens.moto import Moto
from forensics.specimens.service import Service, express, fastapi
from tests.conftest import require

ORDERS = 600


def captured(program, moto: Moto, folder: Path, *, busy: bool) -> fx.Capture:
    """Three snapshots of a fresh process, under load or left alone."""
    with Service(program, moto) as service:
        httpx.get(f"{service.url}/health", timeout=60, trust_env=False).raise_for_status()
        if not busy:
            fx.capture(service.pid, to=folder, snapshots=3, every=4)
        else:
            with Load(service.url, orders=ORDERS, clients=1, per_second=12):
                fx.capture(service.pid, to=folder, snapshots=3, every=4)
    return fx.open(folder)


@pytest.mark.parametrize("make", [fastapi, express])
def test_nothing_counts_as_fixed_where_the_service_idled(make, moto, tmp_path):
    if make is express:
        require("npm", "the Express specimen needs Node.js with npm")
    before = captured(make("leaking"), moto, tmp_path / "before", busy=True)
    idle = captured(make("leaking"), moto, tmp_path / "idle", busy=False)
    mended = captured(make("mended"), moto, tmp_path / "mended", busy=True)
    assert activity(idle.evidence).processors < IDLE < activity(mended.evidence).processors
    told = fx.verify(before, idle)
    assert told.causes and {cause.verdict for cause in told.causes} == {"cannot tell"}, str(told)
    assert "next to nothing to do" in told.causes[0].reason and told.exit_code == 1
    assert "under the same load" in " ".join(told.advice)
    assert not any("nothing to do" in cause.reason for cause in fx.verify(before, mended).causes)
