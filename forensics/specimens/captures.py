"""Make the small captures that come along anew: ``python -m forensics.specimens.captures CAPTURES``.

The same story as the demo with fewer orders, fewer requests and one client, so that the heaps stay small; three
snapshots of the leaking service and of its mended twin, taken while they serve.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import forensics as fx
from forensics import resources
from forensics.specimens.load import Load
from forensics.specimens.moto import Moto
from forensics.specimens.orders import seed_tables
from forensics.specimens.service import VARIANTS, Service, fastapi

ORDERS = 600
WARM_UP = 40
SNAPSHOTS = 3
EVERY = 4.0


def make(folder: Path) -> Path:
    """Write ``folder/fastapi.tar.xz`` and the captures in it, unpacked, beside it; the archive's path."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / resources.ARCHIVE
    with tempfile.TemporaryDirectory(prefix=".captures-", dir=folder) as work, Moto() as moto:
        seed_tables(moto, ORDERS)
        for variant in VARIANTS:
            _take(variant, moto, Path(work) / "fastapi" / variant)
        resources.pack(Path(work) / "fastapi", archive)
    shutil.rmtree(folder / "fastapi", ignore_errors=True)
    return archive


def _take(variant: str, moto: Moto, to: Path) -> None:
    with (
        Service(fastapi(variant), moto) as service,
        Load(service.url, orders=ORDERS, clients=1, per_second=8) as load,
    ):
        load.wait_for(WARM_UP)
        fx.capture(service.pid, to=to, snapshots=SNAPSHOTS, every=EVERY)
        print(f"{variant}: {load.stop()}")


if __name__ == "__main__":
    made = make(Path(sys.argv[1]))
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB; unpacked in {resources.captures()}")
