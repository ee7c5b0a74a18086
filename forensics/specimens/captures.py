"""Make the small captures that come along anew: ``python -m forensics.specimens.captures CAPTURES [SERVICE …]``.

The same story as the demo with fewer orders, fewer requests and one client, so that the heaps stay small; three
snapshots of the leaking service and of its mended twin, taken while they serve; of FastAPI with the tracer in the
service, and the leaking one with the allocations of the same time. What would tell of the machine they were made on
(host name, places of the clone and of the interpreter) is replaced by the paths of a common installation. Heaps of V8,
whose own parts are most of a small service, are shrunk; nothing else is touched.
"""

from __future__ import annotations

import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import forensics as fx
from forensics import resources
from forensics.bundle import Bundle
from forensics.specimens import packages
from forensics.specimens.load import Load
from forensics.specimens.moto import Moto
from forensics.specimens.orders import seed_tables
from forensics.specimens.service import VARIANTS, Service, Specimen, express, fastapi
from forensics.specimens.shrinking import shrink

ORDERS = 600
WARM_UP = 90  # more than fills the mended service's cache
SNAPSHOTS = 3


@dataclass(frozen=True)
class Story:
    """How the captures of one service are made.

    ``every`` is the time from one snapshot to the next, seconds; ``allocations`` how many seconds of the leaking
    service's are recorded; with ``shrunk`` what is neither DynamoDB's nor the program's is folded away, see
    ``shrinking``.
    """

    specimen: Callable[[str], Specimen]
    every: float = 4.0
    allocations: float = 0.0
    shrunk: bool = False


def _traced(variant: str) -> Specimen:
    return fastapi(variant, application="traced:app")


STORIES: Mapping[str, Story] = {
    "fastapi": Story(_traced, allocations=9.0),
    "express": Story(express, shrunk=True),
}


def make(service: str, folder: Path) -> Path:
    """Write ``folder/SERVICE.tar.xz``; what was unpacked of an older one beside it goes. Returns the archive's path."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / resources.archive_of(service)
    with tempfile.TemporaryDirectory(prefix=".captures-", dir=folder) as work, Moto() as moto:
        seed_tables(moto, ORDERS)
        for variant in VARIANTS:
            _take(STORIES[service], variant, moto, Path(work) / service / variant)
        resources.pack(Path(work) / service, archive)
    shutil.rmtree(folder / service, ignore_errors=True)
    return archive


def _take(story: Story, variant: str, moto: Moto, to: Path) -> None:
    specimen = story.specimen(variant)
    with (
        Service(specimen, moto) as service,
        Load(service.url, orders=ORDERS, clients=1, per_second=12) as load,
    ):
        load.wait_for(WARM_UP)
        recorded = story.allocations if variant == "leaking" else 0.0
        fx.capture(service.pid, to=to, snapshots=SNAPSHOTS, every=story.every, allocations=recorded)
        print(f"{specimen.name}/{variant}: {load.stop()}")
    bundle = Bundle.open(to)
    if story.shrunk:
        _shrink(bundle)
    _neutralise(bundle, places(specimen))


def places(specimen: Specimen) -> dict[str, str]:
    """Folders of this machine → those of a common installation; the longest first, as they are replaced."""
    here = {
        sysconfig.get_path("purelib"): "/srv/orders/.venv/lib/python/site-packages",
        sys.prefix: "/srv/orders/.venv",
        sys.base_prefix: "/usr/local",
        str(packages.cache()): "/srv/orders/node",
        str(specimen.folder): "/srv/orders/app",
        str(Path(fx.__file__).parents[1]): "/srv/orders/forensics",
        str(Path.home()): "/home/orders",
    }
    return {
        here_: there for here_, there in sorted(here.items(), key=lambda pair: -len(pair[0])) if here_ != "/"
    }


def _shrink(bundle: Bundle) -> None:
    entries = []
    for entry in bundle.manifest["snapshots"]:
        whole = (bundle.folder / entry["name"]).rename(bundle.folder / "whole")
        with bundle.new_folder(entry["name"]) as folder:
            objects, references = shrink(whole, folder)
        shutil.rmtree(whole)
        shrunk = {"objects": objects, "references": references, "shrunk_from": entry["objects"]}
        entries.append({**entry, **shrunk})
    bundle.update(snapshots=entries)


def _neutralise(bundle: Bundle, replacements: dict[str, str]) -> None:
    """Replace folders in every text column and in the manifest; checksums are noted anew."""
    for name in bundle.names():
        suffix = name.rpartition(".")[2]
        if suffix == "arrow":
            with pa.ipc.open_file(pa.OSFile(str(bundle.folder / name))) as reader:
                table = _replace_in(reader.read_all(), replacements)
            with (
                bundle.new_file(name) as path,
                pa.OSFile(str(path), "wb") as sink,
                pa.ipc.new_file(sink, table.schema) as writer,
            ):
                writer.write_table(table)
        elif suffix == "parquet":
            table = _replace_in(pq.read_table(bundle.folder / name), replacements)
            with bundle.new_file(name) as path:
                pq.write_table(table, path, compression="zstd")
        elif suffix == "json":
            text = (bundle.folder / name).read_text()
            with bundle.new_file(name) as path:
                path.write_text(_replace(text, replacements))
        elif name.endswith(".memray.bin"):
            _replace_in_recording(bundle, name, replacements)
    command_line = [_replace(word, replacements) for word in bundle.manifest["command_line"]]
    bundle.update(command_line=command_line, host="orders-1", platform="Linux-x86_64")


def _replace_in(table: pa.Table, replacements: dict[str, str]) -> pa.Table:
    for position, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            column = table.column(position)
            for here, there in replacements.items():
                column = pc.replace_substring_regex(column, _whole(here), there + r"\1")
            table = table.set_column(position, field, column)
    # One record batch, as a capture writes it: its readers take a column as one array.
    return table.combine_chunks()


def _replace_in_recording(bundle: Bundle, name: str, replacements: dict[str, str]) -> None:
    """In memray's records as they come out of a live process: not compressed, and a text ends with a zero byte."""
    records = (bundle.folder / name).read_bytes()
    for here, there in replacements.items():
        records = re.sub(_whole(here).encode(), there.encode() + rb"\1", records)
    with bundle.new_file(name) as path:
        path.write_bytes(records)


def _whole(folder: str) -> str:
    """A pattern that finds ``folder`` but not a name that merely begins like it."""
    return re.escape(folder) + r"([^\w.-]|$)"


def _replace(text: str, replacements: dict[str, str]) -> str:
    for here, there in replacements.items():
        text = re.sub(_whole(here), there + r"\1", text)
    return text


if __name__ == "__main__":
    for chosen in sys.argv[2:] or STORIES:
        made = make(chosen, Path(sys.argv[1]))
        print(f"{made}: {made.stat().st_size / 1e6:.1f} MB; unpacked in {resources.captures()}")
