"""A capture on disk: whole or not there, checked, private, and never overwritten."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import xxhash

from forensics.bundle import FORMAT_VERSION, MANIFEST, Bundle
from forensics.checksum import xxh3
from forensics.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    made = Bundle.create(tmp_path / "capture", runtime="python")
    made.write("process.parquet", lambda path: path.write_bytes(b"counters"))
    with made.new_folder("snapshots/000") as folder:
        (folder / "objects.arrow").write_bytes(b"objects")
        (folder / "types.arrow").write_bytes(b"types")
    return made


def test_what_was_written_is_read_back(bundle: Bundle) -> None:
    opened = Bundle.open(bundle.folder)
    assert opened.manifest == bundle.manifest
    assert opened.names("snapshots/") == ["snapshots/000/objects.arrow", "snapshots/000/types.arrow"]


def test_only_the_owner_may_look(bundle: Bundle) -> None:
    modes = {
        path.relative_to(bundle.folder.parent).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in [bundle.folder, *bundle.folder.rglob("*")]
    }
    assert {mode for path, mode in modes.items() if (bundle.folder.parent / path).is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if (bundle.folder.parent / path).is_file()} == {0o600}


def test_a_writer_that_fails_leaves_nothing(bundle: Bundle) -> None:
    before = sorted(bundle.folder.rglob("*"))
    with pytest.raises(ZeroDivisionError), bundle.new_folder("snapshots/001") as folder:
        (folder / "objects.arrow").write_bytes(b"half")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        bundle.write("findings.json", lambda path: 1 / (path.write_text("half") and 0))
    assert sorted(bundle.folder.rglob("*")) == before
    Bundle.open(bundle.folder)


@pytest.mark.parametrize("content", ["file", "folder"])
def test_nothing_is_overwritten(tmp_path: Path, content: str) -> None:
    there = tmp_path / "there"
    if content == "file":
        there.write_text("mine")
    else:
        there.mkdir()
        (there / "mine").write_text("mine")
    with pytest.raises(BundleError, match="never overwrites") as caught:
        Bundle.create(there)
    assert "--to" in str(caught.value)


def test_an_altered_file_is_named(bundle: Bundle) -> None:
    (bundle.folder / "snapshots/000/objects.arrow").write_bytes(b"0bjects")
    with pytest.raises(BundleError, match=r"snapshots/000/objects\.arrow .* was altered"):
        Bundle.open(bundle.folder)


def test_a_capture_that_knows_sha_256_alone_is_held_to_it(bundle: Bundle) -> None:
    # GIVEN a capture as versions made it that noted no XXH3
    for noted in bundle.manifest["files"].values():
        assert len(noted["sha256"]) == 64
        del noted["xxh3"]
    bundle.save_manifest()
    Bundle.open(bundle.folder)

    # THEN an altered file is found all the same
    (bundle.folder / "process.parquet").write_bytes(b"c0unters")
    with pytest.raises(BundleError, match=r"process\.parquet .* was altered"):
        Bundle.open(bundle.folder)


def test_the_checksum_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    for size in (0, 1, 4096, (1 << 24) + 5):
        content = bytes(range(256)) * (size // 256 + 1)
        (tmp_path / "file").write_bytes(content[:size])
        assert xxh3(tmp_path / "file") == xxhash.xxh3_128_hexdigest(content[:size])


def test_a_file_lost_in_copying_is_named(bundle: Bundle) -> None:
    (bundle.folder / "process.parquet").unlink()
    with pytest.raises(BundleError, match=r"lacks process\.parquet"):
        Bundle.open(bundle.folder)


def test_a_newer_format_says_upgrade(bundle: Bundle) -> None:
    bundle.update(format_version=FORMAT_VERSION + 1)
    with pytest.raises(BundleError, match=f"reads up to {FORMAT_VERSION}") as caught:
        Bundle.open(bundle.folder)
    assert "Upgrade" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version": "x"}', "{}"])
def test_a_damaged_manifest_is_an_error(bundle: Bundle, text: str) -> None:
    (bundle.folder / MANIFEST).write_text(text)
    with pytest.raises(BundleError, match="cannot be read as a manifest"):
        Bundle.open(bundle.folder)


def test_a_manifest_that_points_outside_is_not_followed(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((bundle.folder / MANIFEST).read_text())
    manifest["files"]["../secret"] = {"sha256": "0", "bytes": 1}
    (bundle.folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="outside the capture"):
        Bundle.open(bundle.folder)


def test_no_capture_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not a capture"):
        Bundle.open(tmp_path)


def test_a_full_disk_is_said_and_what_was_whole_stays(tmp_path: Path) -> None:
    # GIVEN a disk of 256 KiB, in a mount namespace of its own
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from forensics.bundle import Bundle
        from forensics.errors import BundleError
        bundle = Bundle.create(Path(sys.argv[1]) / "capture")
        bundle.write("small", lambda path: path.write_bytes(b"x" * 1000))
        try:
            bundle.write("large", lambda path: path.write_bytes(b"x" * 1_000_000))
        except BundleError as error:
            print(error)
        left = sorted(path.name for path in bundle.folder.iterdir())
        print(left, sorted(Bundle.open(bundle.folder).names()))
        """
    )
    mount = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c", mount]
    run = subprocess.run(
        [*command, "sh", str(tmp_path), sys.executable, script], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr

    # THEN the message names the cause, no partial file is left, and the small file is whole
    assert "the disk is full" in run.stdout
    assert run.stdout.splitlines()[-1] == "['manifest.json', 'small'] ['small']"
