"""Arrow files that are laid out first and filled afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from forensics.bundle import SNAPSHOT_SCHEMAS
from forensics.capture.arrow_file import ArrowFile

SCHEMA = SNAPSHOT_SCHEMAS["objects"]


@pytest.mark.parametrize("rows", [0, 1, 1000, 300_000])
@pytest.mark.parametrize("reserving", [True, False], ids=["reserved", "written"])
def test_what_was_filled_in_is_read_and_the_rest_is_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, reserving: bool
) -> None:
    if not reserving:
        monkeypatch.delattr(os, "posix_fallocate")  # as on macOS
    path = tmp_path / "objects.arrow"

    # WHEN some columns are filled
    file = ArrowFile(path, SCHEMA, rows)
    file["address"][:] = np.arange(rows, dtype=np.uint64)
    file.release()
    file["text"][:] = -1
    file.close()

    # THEN any reader of Arrow files finds them, and room for all of them on the disk
    with pa.ipc.open_file(str(path)) as reader:
        assert reader.num_record_batches == 1
        table = reader.read_all()
    assert table.schema.equals(SCHEMA)
    assert table["address"].to_pylist() == list(range(rows))
    assert set(table["text"].to_pylist()) <= {-1}
    for name in ("type", "shallow_size", "length", "value_hash", "value_class"):
        assert not np.any(table[name].to_numpy())
    assert path.stat().st_blocks * 512 >= rows * 48


def test_a_full_disk_is_found_before_anything_is_filled(tmp_path: Path) -> None:
    # GIVEN a disk of 256 KiB, in a mount namespace of its own
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from forensics.bundle import SNAPSHOT_SCHEMAS
        from forensics.capture.arrow_file import ArrowFile
        ArrowFile(Path(sys.argv[1]) / "small", SNAPSHOT_SCHEMAS["objects"], 1000)["address"].fill(1)
        try:
            ArrowFile(Path(sys.argv[1]) / "large", SNAPSHOT_SCHEMAS["objects"], 100_000)
        except OSError as error:
            print(error.strerror)
        """
    )
    mount = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", mount]
    run = subprocess.run(
        [*command, "sh", str(tmp_path), sys.executable, script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "No space left on device"
